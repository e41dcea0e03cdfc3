/*
 * The Nth allocation of the client fails, N = 1, 2, ..., once or from there on, until nothing asks
 * for that many: a context is made, a handshake and data follow, then a resumed handshake. Whatever
 * happens, it is a status with a text, never a crash, a leak or a connection that was not verified.
 *
 * A full handshake makes thousands of allocations, nearly all for big numbers, and takes long: from
 * EACH on every further N is STEP percent more than the last.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <mbedtls/ssl_cache.h>
#include <mbedtls/version.h>

#include "fixture.h"

enum { EACH = 80, STEP = 25 };

/* ---- the allocator ---- */

static struct {
    bool armed, persistent, failed;
    unsigned long count, at;
} memory;

/* With ASan its own names for these; else those of the C library. */
extern void *__interceptor_malloc(size_t n) __attribute__((weak));
extern void *__interceptor_calloc(size_t n, size_t size) __attribute__((weak));
extern void *__interceptor_realloc(void *ptr, size_t n) __attribute__((weak));
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *ptr, size_t n);

static bool fails(void)
{
    if (!memory.armed)
        return false;
    memory.count++;
    if (memory.count == memory.at || (memory.persistent && memory.count > memory.at)) {
        memory.failed = true;
        return true;
    }
    return false;
}

void *malloc(size_t n)
{
    if (fails())
        return NULL;
    return __interceptor_malloc != NULL ? __interceptor_malloc(n) : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    if (fails())
        return NULL;
    return __interceptor_calloc != NULL ? __interceptor_calloc(n, size) : __libc_calloc(n, size);
}

void *realloc(void *ptr, size_t n)
{
    if (fails())
        return NULL;
    return __interceptor_realloc != NULL ? __interceptor_realloc(ptr, n) : __libc_realloc(ptr, n);
}

/* ---- what is tried ---- */

static struct cert root, leaf, wrong;
static char *ca_file;

static int set_up(void **state)
{
    const struct cert *anchors[] = {&root};

    cert_make(&root, &(struct cert_spec){.name = "CN=Root", .is_ca = true});
    cert_make(&leaf, &(struct cert_spec){.name = "CN=x", .issuer = &root, .dns = {"a.example"}});
    cert_make(&wrong, &(struct cert_spec){.name = "CN=Root", .dns = {"a.example"}});
    ca_file = write_ca_file(anchors, 1);
    return 0;
}

static int tear_down(void **state)
{
    remove_ca_file(ca_file);
    cert_free(&root);
    cert_free(&leaf);
    cert_free(&wrong);
    return 0;
}

/* As run_handshake(), with only the client's memory failing. */
static enum tls_status handshake(struct tls *tls, struct server *server)
{
    enum tls_status status;
    int server_rc = MBEDTLS_ERR_SSL_WANT_READ;

    for (unsigned turn = 0; turn < 10; turn++) {
        struct buf piece = server->out;

        buf_init(&server->out, BUF_UNBOUNDED);
        if (piece.len > 0)
            tls_feed(tls, piece.data, piece.len);
        memory.armed = true;
        status = tls_handshake(tls);
        memory.armed = false;
        assert_true(status != TLS_AGAIN_INPUT || tls_input_left(tls) == 0);
        buf_fini(&piece);
        to_server(tls, server);
        if (server_rc == MBEDTLS_ERR_SSL_WANT_READ)
            server_rc = mbedtls_ssl_handshake(&server->ssl);
        if (status != TLS_AGAIN_INPUT)
            return status;
        if (server->out.len == 0) /* it has given up: a failed alert is no progress */
            return TLS_FAILED;
    }
    return TLS_FAILED;
}

/* Once through; true: it came to its end. */
static bool talk(struct tls_context *context, struct cert *cert, mbedtls_ssl_cache_context *cache)
{
    struct server server;
    struct error err = {0};
    struct tls *tls = NULL;
    size_t n = 0;
    bool good;
    int rc;

    server_start(&server, cert, NULL);
    if (cache != NULL)
        mbedtls_ssl_conf_session_cache(&server.config, cache, mbedtls_ssl_cache_get,
                                       mbedtls_ssl_cache_set);
    memory.armed = true;
    rc = tls_new(context, "a.example", 443, &tls, &err);
    memory.armed = false;
    if (rc != 0) {
        assert_int_equal(rc, ERR_NOMEM);
        server_stop(&server);
        return false;
    }
    good = handshake(tls, &server) == TLS_SUCCESS;
    if (good) {
        assert_ptr_equal(cert, &leaf); /* the other one must never get through */
        assert_true(tls_peer_expiry_s(tls) > 0);
        memory.armed = true;
        good = tls_send(tls, "hello", 5, &n) == TLS_SUCCESS;
        memory.armed = false;
    }
    if (!good && tls_error(tls)->code != 0)
        assert_true(tls_error(tls)->text[0] != '\0');
    memory.armed = true;
    (void)tls_shutdown(tls);
    tls_free(tls);
    memory.armed = false;
    server_stop(&server);
    return good;
}

static struct tls_context *make_context(void)
{
    struct tls_context *context = NULL;
    struct error err = {0};
    int rc;

    memory.armed = true;
    rc = tls_context_new(&(struct tls_context_options){.ca_file = ca_file}, &context, &err);
    memory.armed = false;
    if (rc != 0) {
        assert_true(err.text[0] != '\0');
        assert_null(context);
    }
    return context;
}

static void start(unsigned long at, bool persistent)
{
    memory.count = 0;
    memory.at = at;
    memory.persistent = persistent;
    memory.failed = false;
}

static unsigned long next(unsigned long at)
{
    return at < EACH ? at + 1 : at + at * STEP / 100;
}

static void test_context(void **state)
{
    for (int persistent = 0; persistent <= 1; persistent++) {
        unsigned long at = 1;

        for (;; at++) {
            struct tls_context *context;

            start(at, persistent);
            context = make_context();
            tls_context_unref(context);
            if (!memory.failed) {
                assert_non_null(context);
                break;
            }
        }
        printf("    context: %lu allocations\n", at - 1);
    }
}

static void fail_each(struct cert *cert, const char *what, bool resumed)
{
    for (int persistent = 0; persistent <= 1; persistent++) {
        unsigned tried = 0;
        bool good;

        for (unsigned long at = 1;; at = resumed ? at + 1 : next(at)) {
            mbedtls_ssl_cache_context cache;
            struct tls_context *context;

            mbedtls_ssl_cache_init(&cache);
            start(0, false);
            context = make_context();
            if (resumed)
                assert_true(talk(context, &leaf, &cache));
            start(at, persistent);
            good = talk(context, cert, resumed ? &cache : NULL);
            tls_context_unref(context);
            mbedtls_ssl_cache_free(&cache);
            if (!memory.failed)
                break;
            tried++;
        }
        assert_int_equal(good, cert == &leaf);
        printf("    %s: %lu allocations, %u of them failed\n", what, memory.count, tried);
    }
}

static void test_handshake(void **state)
{
    fail_each(&leaf, "handshake", false);
}

/* What must be refused is, also where memory ends. */
static void test_handshake_with_a_forger(void **state)
{
    fail_each(&wrong, "forger", false);
}

static void test_resumed(void **state)
{
    if (MBEDTLS_VERSION_NUMBER >= 0x03000000) /* the server there wants TLS 1.3, and tickets */
        skip();
    fail_each(&leaf, "resumed", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_handshake_with_a_forger),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
