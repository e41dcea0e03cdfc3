/*
 * openstore DIRECTORY [MIB [STREAMS [BATCH]]]: how long opening a store takes, as hawserd does it:
 * the store, each stream, its dedup keys, the saved states. Where the directory does not exist, a
 * store of so many MiB (1024, in 4 streams) is made there first, with events of 400 bytes, so many
 * (1000) in a commit, and as many dedup keys as the default window keeps. Warm, and after the page
 * cache has let go of the file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"

enum { BATCH_MAX = 1000, STREAMS_MAX = 16, WINDOW = 100000, LINE = 400, ROUNDS = 5 };

static void die(const char *what, const struct error *err)
{
    fprintf(stderr, "openstore: %s: %s\n", what, err->text);
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void count_key(void *arg, const uint8_t key[16])
{
    (void)key;
    ++*(size_t *)arg;
}

static void count_state(void *arg, const struct store_state *state, int64_t saved_us)
{
    (void)state;
    (void)saved_us;
    ++*(size_t *)arg;
}

static void open_streams(struct store *store, unsigned streams, size_t *keys)
{
    struct error err = {0};

    for (unsigned i = 0; i < streams; i++) {
        char name[16];
        struct store_stream_options options = {.name = name, .dedup_window = WINDOW};
        struct store_stream_state state;

        snprintf(name, sizeof name, "s%u", i);
        if (store_stream_open(store, &options, &state, &err) != 0)
            die("cannot open a stream", &err);
        if (store_dedup_load(store, state.id, count_key, keys, &err) != 0)
            die("cannot load dedup keys", &err);
    }
}

static void append(struct store *store, uint64_t *seq, unsigned streams, unsigned batch)
{
    static char line[LINE];
    static struct store_record records[BATCH_MAX];
    struct error err = {0};

    memset(line, 'x', sizeof line);
    for (size_t i = 0; i < batch; i++) {
        struct store_record *r = &records[i];

        *r = (struct store_record){.seq = ++*seq,
                                   .stream = (unsigned)(*seq % streams),
                                   .type = slice_str("room.message"),
                                   .line = slice_make(line, sizeof line),
                                   .position = slice_str("1844"),
                                   .has_key = true};
        memcpy(r->key, seq, sizeof *seq);
    }
    if (store_append(store, records, batch, 0, &err) != 0)
        die("cannot append", &err);
}

static void save_states(struct store *store)
{
    struct error err = {0};

    for (unsigned i = 0; i < 1000; i++) { /* as many as there may be named consumers */
        char key[32];
        struct store_state state = {.value = slice_str("a cursor, its owner and its filter")};

        snprintf(key, sizeof key, "consumer/program-%u", i);
        state.key = slice_str(key);
        if (store_append_with(store, NULL, 0, &state, 1, 1, 0, &err) != 0)
            die("cannot save a state", &err);
    }
}

static void make(struct store_options options, uint64_t bytes, unsigned streams, unsigned batch)
{
    struct store_info info = {0};
    struct error err = {0};
    struct store *store;
    size_t keys = 0;
    uint64_t seq = 0;

    options.no_sync = true;
    if (store_open(&options, &store, &err) != 0)
        die("cannot make it", &err);
    open_streams(store, streams, &keys);
    while (info.file_bytes < bytes) {
        append(store, &seq, streams, batch);
        store_info(store, &info);
    }
    save_states(store);
    store_close(store);
    printf("made: %llu events in %u streams\n", (unsigned long long)seq, streams);
}

static void drop_cache(const char *directory)
{
    char path[4096];
    int fd;

    snprintf(path, sizeof path, "%s/data.mdb", directory);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    fdatasync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static void measure(const struct store_options *options, unsigned streams, const char *how)
{
    struct store_info info;
    struct error err = {0};
    struct store *store;
    size_t keys = 0, states = 0;
    double begun = now_ms(), opened, all;

    if (store_open(options, &store, &err) != 0)
        die("cannot open it", &err);
    opened = now_ms();
    open_streams(store, streams, &keys);
    if (store_states(store, count_state, &states, &err) != 0)
        die("cannot read the states", &err);
    all = now_ms();
    store_info(store, &info);
    printf(
        "%s: store of %llu MiB opened in %.1f ms; with its streams, %zu dedup keys and %zu states"
        " in %.1f ms\n",
        how, (unsigned long long)(info.file_bytes >> 20), opened - begun, keys, states,
        all - begun);
    store_close(store);
}

int main(int argc, char **argv)
{
    uint64_t mib = argc > 2 ? strtoull(argv[2], NULL, 10) : 1024;
    unsigned streams = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 4;
    unsigned batch = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : BATCH_MAX;
    struct store_options options = {.path = argc > 1 ? argv[1] : NULL,
                                    .retain_size_bytes = (mib + 1024) << 20};

    if (argc < 2 || mib == 0 || streams == 0 || streams > STREAMS_MAX || batch == 0 ||
        batch > BATCH_MAX) {
        fprintf(stderr, "usage: openstore DIRECTORY [MIB [STREAMS, at most %d [BATCH, %d]]]\n",
                STREAMS_MAX, BATCH_MAX);
        return 2;
    }
    if (access(options.path, F_OK) != 0)
        make(options, mib << 20, streams, batch);
    for (int i = 0; i < ROUNDS; i++) {
        drop_cache(options.path);
        measure(&options, streams, "cold");
        measure(&options, streams, "warm");
    }
    return 0;
}
