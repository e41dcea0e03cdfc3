#include "wire/delivery.h"

#include <stdlib.h>

#include "json/json.h"

/* ---- server-sent events ---- */

static const struct slice seq_key = SLICE_INIT("{\"seq\":");

/* The digits of a line's seq; empty: null, or a line without one. */
static struct slice seq_of(struct slice line)
{
    struct slice rest = slice_from(line, seq_key.len);
    size_t n = 0;
    if (!slice_starts_with(line, seq_key))
        return slice_make(NULL, 0);
    while (n < rest.len && rest.ptr[n] >= '0' && rest.ptr[n] <= '9')
        n++;
    return slice_make(rest.ptr, n);
}

int delivery_sse(struct buf *out, const char *instance, struct slice line)
{
    struct slice seq = seq_of(line);
    if (line.len > 0 && line.ptr[line.len - 1] == '\n')
        line.len--;
    int status = buf_reserve(out, DELIVERY_INSTANCE + seq.len + line.len + 32);
    if (status != 0)
        return status;
    if (seq.len > 0) {
        buf_append_str(out, "id: ");
        buf_append(out, instance, DELIVERY_INSTANCE);
        buf_append_byte(out, '-');
        buf_append_slice(out, seq);
        buf_append_byte(out, '\n');
    }
    buf_append_str(out, "data: ");
    buf_append_slice(out, line);
    return buf_append_str(out, "\n\n");
}

int delivery_sse_id(struct slice id, struct slice *instance, uint64_t *seq)
{
    if (id.len < DELIVERY_INSTANCE + 2 || id.ptr[DELIVERY_INSTANCE] != '-')
        return ERR_PARSE;
    *instance = slice_make(id.ptr, DELIVERY_INSTANCE);
    return slice_parse_u64(slice_from(id, DELIVERY_INSTANCE + 1), seq) != 0 ? ERR_PARSE : 0;
}

/* ---- payloads ---- */

enum { DATA, TEXT, BASE64, SLOTS };

struct delivery_payload {
    struct json_paths *paths;
    struct json_value slots[SLOTS];
};

int delivery_payload_new(struct delivery_payload **out)
{
    static const char *const pointers[SLOTS] = {"/data", "/text", "/base64"};
    struct delivery_payload *payload = calloc(1, sizeof(*payload));
    int status = payload == NULL ? ERR_NOMEM : json_paths_new(&payload->paths);
    for (unsigned i = 0; status == 0 && i < SLOTS; i++) {
        unsigned slot;
        status = json_paths_add(payload->paths, slice_str(pointers[i]), &slot, NULL);
    }
    if (status != 0) {
        delivery_payload_free(payload);
        return status;
    }
    *out = payload;
    return 0;
}

void delivery_payload_free(struct delivery_payload *payload)
{
    if (payload == NULL)
        return;
    json_paths_free(payload->paths);
    free(payload);
}

static int write_string(const struct json_value *value, struct buf *out)
{
    size_t before = out->len;
    int status = json_string_decode(value, out);
    for (size_t i = before; status == 0 && i < out->len; i++)
        if (out->data[i] == '\n' || out->data[i] == '\r')
            out->data[i] = ' ';
    return status;
}

int delivery_payload_write(struct delivery_payload *payload, struct buf *out, struct slice line)
{
    struct json_value *slots = payload->slots;
    size_t before = out->len;
    int status = 0;
    if (json_scan(payload->paths, line, slots, NULL) != 0)
        return 0; /* not of our making: there is no message in it */
    if (slots[DATA].type != JSON_ABSENT)
        status = buf_append_slice(out, slots[DATA].raw);
    else if (slots[TEXT].type == JSON_STRING)
        status = write_string(&slots[TEXT], out);
    else if (slots[BASE64].type == JSON_STRING)
        status = write_string(&slots[BASE64], out);
    else
        return 0;
    if (status == 0)
        status = buf_append_byte(out, '\n');
    if (status != 0)
        out->len = before;
    return status;
}
