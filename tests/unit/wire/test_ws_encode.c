/* Frames that we send, and the opening handshake of both sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/ws.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const uint8_t mask[4] = {0x37, 0xFA, 0x21, 0x3D};

static void test_known_frame(void **state)
{
    struct buf out;

    /* The example of RFC 6455, section 5.7. */
    buf_init(&out, BUF_UNBOUNDED);
    assert_int_equal(ws_frame_write(&out, WS_TEXT, SLICE("Hello"), mask), 0);
    assert_int_equal(out.len, 11);
    assert_memory_equal(out.data, "\x81\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58", 11);
    assert_int_equal(ws_frame_write(&out, WS_PING, SLICE(""), mask), 0);
    assert_int_equal(out.len, 17);
    assert_memory_equal(out.data + 11, "\x89\x80\x37\xFA\x21\x3D", 6);
    buf_fini(&out);
}

/* Reads one client frame back; its length, or 0 if it is not as expected. */
static size_t unmask(const struct buf *frame, unsigned char first, char *payload)
{
    const unsigned char *p = (const unsigned char *)frame->data;
    size_t header = 2, len = p[1] & 0x7F;

    assert_int_equal(p[0], first);
    assert_true(p[1] & 0x80);
    if (len == 126) {
        len = (size_t)p[2] << 8 | p[3];
        header = 4;
    } else if (len == 127) {
        len = 0;
        for (int i = 2; i < 10; i++)
            len = len << 8 | p[i];
        header = 10;
    }
    assert_memory_equal(p + header, mask, 4);
    assert_int_equal(frame->len, header + 4 + len);
    for (size_t i = 0; i < len; i++)
        payload[i] = (char)(p[header + 4 + i] ^ mask[i % 4]);
    return len;
}

static void test_lengths(void **state)
{
    static const size_t lengths[] = {0,    1,    124,  125,   126,   127,
                                     4095, 4096, 4097, 65535, 65536, 100000};
    char *bytes = malloc(100000);
    char *back = malloc(100000);

    assert_non_null(bytes);
    assert_non_null(back);
    for (size_t i = 0; i < 100000; i++)
        bytes[i] = (char)(i * 13);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct buf out;

        buf_init(&out, BUF_UNBOUNDED);
        assert_int_equal(ws_frame_write(&out, WS_BINARY, slice_make(bytes, lengths[i]), mask), 0);
        assert_int_equal(unmask(&out, 0x82, back), lengths[i]);
        assert_memory_equal(back, bytes, lengths[i]);
        /* The header is in its shortest form. */
        assert_int_equal(out.len - lengths[i], lengths[i] < 126 ? 6 : lengths[i] < 65536 ? 8 : 14);
        buf_fini(&out);
    }
    free(bytes);
    free(back);
}

static void test_refused(void **state)
{
    static const char big[126] = {0};
    struct buf out;

    buf_init(&out, 200);
    assert_int_equal(ws_frame_write(&out, WS_PING, slice_make(big, 125), mask), 0);
    assert_int_equal(out.len, 131);
    assert_int_equal(ws_frame_write(&out, WS_PING, slice_make(big, 126), mask), ERR_INVAL);
    assert_int_equal(ws_frame_write(&out, WS_PONG, slice_make(big, 126), mask), ERR_INVAL);
    assert_int_equal(ws_frame_write(&out, WS_TEXT, SLICE("\xFF"), mask), ERR_INVAL);
    assert_int_equal(ws_frame_write(&out, WS_TEXT, SLICE("\xC3"), mask), ERR_INVAL);
    assert_int_equal(ws_frame_write(&out, WS_BINARY, slice_make(big, 126), mask), ERR_LIMIT);
    assert_int_equal(ws_frame_write(&out, WS_BINARY, slice_make(big, SIZE_MAX), mask), ERR_LIMIT);
    assert_int_equal(out.len, 131);
    buf_fini(&out);
}

static void check_close(int code, const char *reason, const char *expect, size_t n)
{
    struct buf out;
    char back[126];

    buf_init(&out, BUF_UNBOUNDED);
    assert_int_equal(ws_close_write(&out, code, slice_str(reason), mask), 0);
    assert_int_equal(unmask(&out, 0x88, back), n);
    assert_memory_equal(back, expect, n);
    buf_fini(&out);
}

static void test_close(void **state)
{
    static const int bad[] = {0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65536 + 1000, -1};
    char reason[200], expect[126];
    struct buf out;

    check_close(1000, "", "\x03\xE8", 2);
    check_close(4001, "bye",
                "\x0F\xA1"
                "bye",
                5);
    check_close(WS_CLOSE_NONE, "dropped", "", 0);

    memset(reason, 'r', sizeof reason);
    memcpy(expect, "\x03\xE8", 2);
    memset(expect + 2, 'r', 123);
    reason[123] = '\0';
    check_close(1000, reason, expect, 125);
    reason[123] = 'r', reason[124] = '\0';
    check_close(1000, reason, expect, 125);
    /* A character of three bytes ends at the bound, one past it, and two. */
    memcpy(reason + 120,
           "\xE2\x82\xAC"
           "x",
           5);
    memcpy(expect + 122, "\xE2\x82\xAC", 3);
    check_close(1000, reason, expect, 125);
    memcpy(reason + 120, "r\xE2\x82\xAC", 5);
    expect[122] = 'r';
    check_close(1000, reason, expect, 2 + 121);
    memcpy(reason + 120, "rr\xE2\x82\xAC", 6);
    expect[123] = 'r';
    check_close(1000, reason, expect, 2 + 122);

    buf_init(&out, BUF_UNBOUNDED);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(ws_close_write(&out, bad[i], SLICE(""), mask), ERR_INVAL);
    assert_int_equal(ws_close_write(&out, 1000, SLICE("\xFF"), mask), ERR_INVAL);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

/* ---- the handshake ---- */

/* SHA-1 of "dGhlIHNhbXBsZSBub25jZQ==258EAFA5-...", the example of RFC 6455, section 1.3. */
static const uint8_t accept_sha1[20] = {0xb3, 0x7a, 0x4f, 0x2c, 0xc0, 0x62, 0x4f, 0x16, 0x90, 0xf6,
                                        0x46, 0x06, 0xcf, 0x38, 0x59, 0x45, 0xb2, 0xbe, 0xc4, 0xea};

static void test_key(void **state)
{
    char key[25], input[61];

    ws_key((const uint8_t *)"the sample nonce", key);
    assert_string_equal(key, "dGhlIHNhbXBsZSBub25jZQ==");
    assert_int_equal(ws_accept_input(key, input), 60);
    assert_string_equal(input, "dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
}

static void test_upgrade_request(void **state)
{
    static const char *const bad[] = {
        "A: b",
        "Upgrade: h2c\r\n",
        "connection: close\r\n",
        "Sec-WebSocket-Key: x\r\n",
        "Sec-WebSocket-Version: 8\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Protocol: x\r\n",
        "Host: x\r\n",
        "Content-Length: 1\r\n",
    };
    struct http_url url;
    struct error err;
    struct buf out;

    assert_int_equal(http_url_parse(SLICE("wss://h:9/x?y"), &url, &err), 0);
    buf_init(&out, BUF_UNBOUNDED);
    assert_int_equal(ws_upgrade_write(&out, &url, "dGhlIHNhbXBsZSBub25jZQ==",
                                      SLICE("Origin: https://o\r\n"), SLICE("a, b"), false),
                     0);
    assert_string_equal(buf_cstr(&out), "GET /x?y HTTP/1.1\r\nHost: h:9\r\nUpgrade: websocket\r\n"
                                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                        "Sec-WebSocket-Protocol: a, b\r\n"
                                        "Origin: https://o\r\n\r\n");
    buf_clear(&out);
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(ws_upgrade_write(&out, &url, "dGhlIHNhbXBsZSBub25jZQ==", slice_str(bad[i]),
                                          SLICE(""), true),
                         ERR_INVAL);
        assert_int_equal(out.len, 0);
    }
    assert_int_equal(ws_upgrade_write(&out, &url, "dGhlIHNhbXBsZSBub25jZQ==", SLICE(""),
                                      SLICE("a\r\nX: y"), true),
                     ERR_INVAL);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

static void test_upgrade_check(void **state)
{
#define UPGRADE "upgrade: websocket\nconnection: Upgrade\n"
#define ACCEPT "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n"
    static const struct {
        int status;
        const char *headers, *asked, *needle; /* NULL: good */
    } rows[] = {
        {101, UPGRADE ACCEPT, "", NULL},
        {101, "upgrade: WebSocket\nconnection: keep-alive, upgrade\n" ACCEPT, "", NULL},
        {101, "upgrade: websocket\nconnection: a\nconnection: UPGRADE\n" ACCEPT, "", NULL},
        {101, "upgrade: websocket\nupgrade: WEBSOCKET\nconnection: upgrade\n" ACCEPT, "", NULL},
        {101, UPGRADE ACCEPT "sec-websocket-extensions: \n", "", NULL},
        {101, UPGRADE ACCEPT, "a", NULL}, /* the server may choose none */
        {101, UPGRADE ACCEPT "sec-websocket-protocol: a\n", "a", NULL},
        {101, UPGRADE ACCEPT "sec-websocket-protocol: b\n", "a, b", NULL},
        {200, UPGRADE ACCEPT, "", "status 200"},
        {101, "connection: upgrade\n" ACCEPT, "", "without \"Upgrade: websocket\""},
        {101, "upgrade: \nconnection: upgrade\n" ACCEPT, "", "without \"Upgrade"},
        {101, "upgrade: h2c\nupgrade: websocket\nconnection: upgrade\n" ACCEPT, "",
         "another protocol"},
        {101, "upgrade: websocket, foo/2\nconnection: upgrade\n" ACCEPT, "", "another protocol"},
        {101, "upgrade: websockets\nconnection: upgrade\n" ACCEPT, "", "without \"Upgrade"},
        {101, "upgrade: websocket\n" ACCEPT, "", "without \"Connection: Upgrade\""},
        {101, "upgrade: websocket\nconnection: close\n" ACCEPT, "", "without \"Connection"},
        {101, UPGRADE, "", "Sec-WebSocket-Accept is missing"},
        {101, UPGRADE "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\n", "", "is wrong"},
        {101, UPGRADE "sec-websocket-accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n", "", "is wrong"},
        {101, UPGRADE "sec-websocket-accept: \n", "", "is wrong"},
        {101, UPGRADE ACCEPT ACCEPT, "", "is wrong"},
        {101, UPGRADE ACCEPT "sec-websocket-extensions: permessage-deflate\n", "",
         "an extension that was not asked for: permessage-deflate"},
        {101, UPGRADE ACCEPT "sec-websocket-protocol: a\n", "", "chose subprotocol \"a\" where"},
        {101, UPGRADE ACCEPT "sec-websocket-protocol: c\n", "a, b", "that was not asked for"},
        {101, UPGRADE ACCEPT "sec-websocket-protocol: A\n", "a", "that was not asked for"},
        {101, UPGRADE ACCEPT "sec-websocket-protocol: a, b\n", "a, b", "that was not asked for"},
        {101, UPGRADE ACCEPT "sec-websocket-protocol: \n", "a", "that was not asked for"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_response response = {.status = rows[i].status, .minor = 1};
        struct error err = {0};
        int rc;

        buf_init(&response.headers, BUF_UNBOUNDED);
        assert_int_equal(buf_append_str(&response.headers, rows[i].headers), 0);
        rc = ws_upgrade_check(&response, accept_sha1, slice_str(rows[i].asked), NULL, &err);
        if (rc != (rows[i].needle != NULL ? ERR_PROTOCOL : 0) ||
            (rc != 0 && strstr(err.text, rows[i].needle) == NULL))
            fail_msg("row %zu: %d %s", i, rc, err.text);
        buf_fini(&response.headers);
    }
}

/* The subprotocol asked for may be a key: no text repeats it, or what resembles it. */
static void test_secret_subprotocol(void **state)
{
    struct http_response response = {.status = 101, .minor = 1};
    struct error err;

    buf_init(&response.headers, BUF_UNBOUNDED);
    buf_append_str(&response.headers, UPGRADE ACCEPT "sec-websocket-protocol: apikey.SECRET2\n");
    assert_int_equal(ws_upgrade_check(&response, accept_sha1, SLICE("apikey.SECRET"), NULL, &err),
                     ERR_PROTOCOL);
    assert_null(strstr(err.text, "SECRET"));
    buf_fini(&response.headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_frame),   cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_close),
        cmocka_unit_test(test_key),           cmocka_unit_test(test_upgrade_request),
        cmocka_unit_test(test_upgrade_check), cmocka_unit_test(test_secret_subprotocol),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
