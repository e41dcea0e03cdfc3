/*
 * The Nth allocation fails, N = 1, 2, ... until none is left to fail: once that one alone, once
 * that and all behind it. zlib's memory comes through wire, so its allocations are among them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unit/nomem.h"
#include "wire/ws.h"

/* Of RFC 7692 7.2.3, and the second refers to the first. */
#define MESSAGES "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00"

/* ---- in ---- */

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    assert_true(slice_eq_str(payload, "Hello"));
    ++*(unsigned *)arg;
    return 0;
}

static void on_control(void *arg, struct slice payload)
{
    fail();
}

static void on_oversize(void *arg, uint64_t bytes)
{
    fail();
}

static void on_close(void *arg, int code, struct slice reason)
{
    fail();
}

/* Returns whether nothing failed. */
static bool receive(void)
{
    static const struct deflate_terms terms = {true, false, false, 15, 15};
    unsigned messages = 0;
    const struct ws_handler handler = {on_message,  on_control, on_control,
                                       on_oversize, on_close,   &messages};
    struct slice bytes = SLICE(MESSAGES);
    struct ws_decoder *decoder;
    struct error err = {0};
    int close_code = 0;
    int rc = ws_decoder_new(&handler, 100, &decoder);

    if (rc != 0) {
        assert_int_equal(rc, ERR_NOMEM);
        return false;
    }
    rc = ws_decoder_deflate(decoder, &terms);
    if (rc == 0) {
        rc = ws_decoder_run(decoder, &bytes, &close_code, &err);
        assert_int_equal(close_code, rc != 0 ? 1011 : 0);
        assert_int_equal(err.code, rc);
        assert_true(rc == 0 || messages < 2);
    }
    assert_true(rc == ERR_NOMEM || (rc == 0 && messages == 2));
    ws_decoder_free(decoder);
    return rc == 0;
}

/* ---- out ---- */

/* Without memory to compress, a message goes out as it is; without any, not at all. */
static bool send_message(void)
{
    static const struct deflate_terms terms = {true, false, false, 15, 15};
    static const uint8_t mask[4] = {0};
    char text[200];
    struct buf out;
    bool done;
    int rc;

    memset(text, 'x', sizeof text);
    buf_init(&out, BUF_UNBOUNDED);
    rc = ws_message_write(&out, &terms, WS_TEXT, slice_make(text, sizeof text), mask);
    assert_true(rc == 0 || (rc == ERR_NOMEM && out.len == 0));
    done = rc == 0 && (unsigned char)out.data[0] == 0xC1;
    if (rc == 0 && !done) {
        assert_int_equal((unsigned char)out.data[0], 0x81);
        assert_int_equal(out.len, 8 + sizeof text);
        assert_memory_equal(out.data + 8, text, sizeof text);
    }
    buf_fini(&out);
    return done;
}

static void fail_each(bool (*work)(void), unsigned at_least)
{
    for (int k = 0; k < 2; k++) {
        bool done = false;

        for (unsigned n = 1; !done; n++) {
            nomem_for_good = k != 0;
            nomem_left = n - 1;
            done = work();
            assert_true(!done || n > at_least);
            nomem_left = -1;
        }
    }
}

static void test_receive(void **state)
{
    fail_each(receive, 4);
}

static void test_send(void **state)
{
    fail_each(send_message, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receive),
        cmocka_unit_test(test_send),
    };

    nomem_here = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
