/*
 * http_server: any bytes are a request, the beginning of one, or have a status that says why not,
 * the same byte by byte as at once; a query is decoded within its own length.
 *
 * A broken promise ends the process, as libFuzzer wants it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "wire/http_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "http_server_fuzz.c:%d: does not hold: %s\n", line, what);
    abort();
}

static void check_inside(struct slice part, struct slice whole)
{
    CHECK(part.ptr == NULL || part.len == 0 || slice_eq_str(part, "/") ||
          (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len));
}

static void check_query(struct slice query)
{
    struct slice name, value;
    struct buf scratch;

    buf_init(&scratch, query.len + 1);
    while (http_server_query_next(&query, &scratch, &name, &value) > 0) {
        CHECK(utf8_valid(name.ptr, name.len + value.len));
        CHECK(memchr(name.ptr, '\0', name.len + value.len) == NULL);
    }
    buf_fini(&scratch);
}

/* What comes in pieces ends the same way, at the first piece that decides it. */
static ptrdiff_t in_pieces(struct slice bytes, struct http_server_refusal *refusal)
{
    struct http_server_request request;
    size_t scanned = 0;
    ptrdiff_t rc = 0;

    for (size_t n = 0; n <= bytes.len && rc == 0; n++)
        rc = http_server_parse(slice_make(bytes.ptr, n), &scanned, &request, refusal);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_make((const char *)data, size);
    struct http_server_request request;
    struct http_server_refusal refusal = {0}, pieces = {0};
    size_t scanned = 0;
    ptrdiff_t rc = http_server_parse(bytes, &scanned, &request, &refusal);

    CHECK(rc <= (ptrdiff_t)size);
    if (rc < 0)
        CHECK(refusal.status >= 400 && http_server_status_text(refusal.status)[0] != '\0');
    if (size < 512) {
        CHECK(in_pieces(bytes, &pieces) == rc);
        CHECK(pieces.status == refusal.status);
    }
    if (rc <= 0)
        return 0;
    check_inside(request.path, bytes);
    check_inside(request.query, bytes);
    check_inside(request.host, bytes);
    check_inside(request.authorization, bytes);
    check_inside(request.last_event_id, bytes);
    CHECK(request.path.len > 0 && request.path.ptr[0] == '/');
    (void)http_server_host_is_local(request.host);
    check_query(request.query);
    return 0;
}
