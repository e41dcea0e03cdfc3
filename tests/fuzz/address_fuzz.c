/*
 * Any bytes as an address that the network names, and as a token: an address that is allowed leads
 * to the host that is, over TLS; a token's expiry is a time or nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "profile/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "address_fuzz.c:%d: does not hold: %s\n", line, what);
    abort();
}

static const struct profile *load(void)
{
    static const char text[] = "[connect]\nurl = wss://h.example:8443/\nhosts = *.good.example\n";
    static struct profile *profile;
    char dir[] = "/tmp/hawser-fuzz-XXXXXX", path[64];
    const char *const dirs[] = {dir, NULL};
    struct diag *diag;
    FILE *file;

    if (profile != NULL)
        return profile;
    diag = diag_new();
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/fuzz.ini", dir);
    file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    CHECK(profile_load(dirs, "fuzz", NULL, diag, &profile) == 0);
    unlink(path);
    rmdir(dir);
    diag_free(diag);
    return profile;
}

static bool ends(struct slice text, const char *end)
{
    size_t n = strlen(end);

    return text.len > n && strncasecmp(text.ptr + text.len - n, end, n) == 0;
}

/* Read anew and simply: what stands between "//" and the next of "/?:", is the host. */
static void check_allowed(struct slice url)
{
    const char *slashes = memmem(url.ptr, url.len, "://", 3);
    struct slice host;
    size_t n = 0;

    CHECK(slashes != NULL && url.ptr[slashes - url.ptr - 1] != 'p');
    CHECK(strncasecmp(url.ptr, "wss", 3) == 0 || strncasecmp(url.ptr, "https", 5) == 0);
    host = slice_from(url, (size_t)(slashes - url.ptr) + 3);
    while (n < host.len && strchr("/?:", host.ptr[n]) == NULL)
        n++;
    host.len = n;
    if (ends(host, "."))
        host.len--;
    CHECK((host.len == 9 && strncasecmp(host.ptr, "h.example", 9) == 0) ||
          ends(host, ".good.example"));
    for (size_t i = 0; i < url.len; i++)
        CHECK((unsigned char)url.ptr[i] > ' ' && (unsigned char)url.ptr[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_make((const char *)data, size);
    struct error err = {0};
    int rc = profile_address_ok(load(), text, &err);
    int64_t expiry = profile_jwt_expiry_s(text);

    CHECK(rc == 0 ||
          ((rc == ERR_INVAL || rc == ERR_PERM || rc == ERR_LIMIT) && err.text[0] != '\0'));
    if (rc == 0)
        check_allowed(text);
    CHECK(expiry >= -1 && expiry <= 253402300799);
    return 0;
}
