/*
 * upgrade: the answer to an upgrade, what it agrees on included. The first byte says how the rest
 * is cut and whether compression was offered; the rest is the value of Sec-WebSocket-Extensions up
 * to the first line feed, and what the server says of itself behind it: header lines, or a whole
 * answer. Whatever is agreed on is legal, can be written as an answer, and is then read the same.
 *
 * A broken promise ends the process, as libFuzzer wants it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "wire/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "upgrade_fuzz.c:%d: does not hold: %s\n", line, what);
    abort();
}

/* Of the RFC's example key. */
static const uint8_t accept_sha1[20] = {0xb3, 0x7a, 0x4f, 0x2c, 0xc0, 0x62, 0x4f, 0x16, 0x90, 0xf6,
                                        0x46, 0x06, 0xcf, 0x38, 0x59, 0x45, 0xb2, 0xbe, 0xc4, 0xea};

static void check_terms(const struct deflate_terms *terms)
{
    CHECK(terms->server_bits >= 8 && terms->server_bits <= 15);
    CHECK(terms->client_bits >= 8 && terms->client_bits <= 15);
    if (!terms->agreed)
        CHECK(!terms->server_no_context_takeover && !terms->client_no_context_takeover &&
              terms->server_bits == 15 && terms->client_bits == 15);
}

static void check_extensions(struct slice value)
{
    struct deflate_terms terms, again;
    struct error err = {0};
    struct buf text;
    int rc = deflate_answer_read(value, &terms, &err);

    CHECK(rc == 0 || (rc == ERR_PROTOCOL && err.code == rc && err.text[0] != '\0'));
    if (rc != 0)
        return;
    check_terms(&terms);
    if (!terms.agreed)
        return;
    buf_init(&text, BUF_UNBOUNDED);
    CHECK(buf_appendf(&text,
                      "permessage-deflate;client_max_window_bits=%u; server_max_window_bits=\"%u\""
                      "%s%s",
                      terms.client_bits, terms.server_bits,
                      terms.client_no_context_takeover ? ";client_no_context_takeover" : "",
                      terms.server_no_context_takeover ? ";server_no_context_takeover" : "") == 0);
    CHECK(deflate_answer_read(buf_slice(&text), &again, &err) == 0 && again.agreed);
    CHECK(again.client_bits == terms.client_bits && again.server_bits == terms.server_bits);
    CHECK(again.client_no_context_takeover == terms.client_no_context_takeover);
    CHECK(again.server_no_context_takeover == terms.server_no_context_takeover);
    buf_fini(&text);
}

struct outcome {
    int rc, checked;
    bool done;
    size_t used;
    struct deflate_terms terms;
};

static struct outcome parse(struct slice answer, size_t step, bool offered)
{
    struct http_parser_state *parser;
    const struct http_response *response;
    struct outcome o = {.checked = -1};
    struct error err;

    CHECK(http_parser_new(false, 100, &parser) == 0);
    while (o.rc == 0 && !o.done && o.used < answer.len) {
        size_t n = step < answer.len - o.used ? step : answer.len - o.used;
        size_t used;

        o.rc = http_parser_feed(parser, answer.ptr + o.used, n, &used, &o.done, &err);
        o.used += used;
    }
    response = http_parser_response(parser);
    if (o.rc == 0 && o.done) {
        o.checked =
            ws_upgrade_check(response, accept_sha1, SLICE("a, b"), offered ? &o.terms : NULL, &err);
        CHECK(o.checked == 0 || (o.checked == ERR_PROTOCOL && err.text[0] != '\0'));
        CHECK(o.checked != 0 || response->status == 101);
        if (o.checked == 0 && offered)
            check_terms(&o.terms);
        if (o.checked == 0 && !offered)
            CHECK(!o.terms.agreed);
    }
    http_parser_free(parser);
    return o;
}

static void check_answer(struct slice answer, uint8_t options)
{
    bool offered = options & 0x80;
    struct outcome whole = parse(answer, answer.len + 1, offered);
    struct outcome parts = parse(answer, 1 + options % 64, offered);

    CHECK(whole.rc == parts.rc && whole.done == parts.done && whole.checked == parts.checked);
    CHECK(whole.rc != 0 || whole.used == parts.used);
    CHECK(memcmp(&whole.terms, &parts.terms, sizeof whole.terms) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char good[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    struct slice text, value;
    const char *lf;
    struct buf answer;

    if (size == 0)
        return 0;
    text = slice_make((const char *)data + 1, size - 1);
    lf = slice_find_byte(text, '\n');
    value = slice_make(text.ptr, lf != NULL ? (size_t)(lf - text.ptr) : text.len);
    check_extensions(value);
    check_answer(text, data[0]);
    buf_init(&answer, BUF_UNBOUNDED);
    CHECK(buf_append_str(&answer, good) == 0);
    CHECK(buf_append_str(&answer, "Sec-WebSocket-Extensions: ") == 0);
    CHECK(buf_append_slice(&answer, value) == 0 && buf_append_str(&answer, "\r\n") == 0);
    CHECK(buf_append_slice(&answer, slice_from(text, value.len + 1)) == 0);
    CHECK(buf_append_str(&answer, "\r\n\r\n") == 0);
    check_answer(buf_slice(&answer), data[0]);
    buf_fini(&answer);
    return 0;
}
