/*
 * Runs a fuzz target over every file of the directories it is given, so that what fuzzing has once
 * found is tried again in every ordinary build. Each file's bytes lie in memory of just that size:
 * the sanitizer sees a single byte read too far.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

static void replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size != 0 ? size : 1);

    if (file == NULL || data == NULL || fread(data, 1, size, file) != size)
        die(path);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

/* Returns how many files there were. */
static unsigned replay_dir(const char *dir)
{
    struct dirent **names;
    unsigned files = 0;
    int n = scandir(dir, &names, NULL, alphasort);

    if (n < 0)
        die(dir);
    for (int i = 0; i < n; i++) {
        struct stat st;
        char *path;

        if (asprintf(&path, "%s/%s", dir, names[i]->d_name) < 0 || stat(path, &st) != 0)
            die(dir);
        if (S_ISREG(st.st_mode)) {
            /* Before it is run: if it crashes, this is the last line. */
            printf("%s\n", path);
            fflush(stdout);
            replay_file(path, (size_t)st.st_size);
            files++;
        }
        free(path);
        free(names[i]);
    }
    free(names);
    return files;
}

int main(int argc, char **argv)
{
    unsigned files = 0;

    for (int i = 1; i < argc; i++)
        files += replay_dir(argv[i]);
    printf("%u inputs replayed\n", files);
    if (files == 0) {
        fprintf(stderr, "usage: %s CORPUS-DIRECTORY...\n", argv[0]);
        return 1;
    }
    return 0;
}
