#include <errno.h>
#include <mbedtls/sha1.h>
#include <mbedtls/version.h>
#include <stdio.h>
#include <sys/random.h>

#include "tls/tls.h"

int tls_random(void *out, size_t n)
{
    unsigned char *at = out;

    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return ERR_IO;
        at += got;
        n -= (size_t)got;
    }
    return 0;
}

void tls_sha1(const void *bytes, size_t n, uint8_t out[20])
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    mbedtls_sha1(bytes, n, out);
#else
    mbedtls_sha1_ret(bytes, n, out);
#endif
}

void tls_library(char *out, size_t size)
{
    char version[18]; /* as mbedTLS says it needs */

    mbedtls_version_get_string_full(version);
    snprintf(out, size, "%.17s", version);
}
