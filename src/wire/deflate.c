/*
 * A message is a raw DEFLATE stream that ends with an empty stored block, whose last four bytes
 * (the tail) are not sent: RFC 7692 7.2.1, 7.2.2. A block may also be marked as final: then the
 * next byte begins a new stream, with the window as it was (7.2.3.4).
 */
#include "wire/deflate.h"

#include <limits.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

enum {
    TAIL = 4,
    RAW_BITS_MIN = 9, /* zlib deflates with no smaller window */
};

static const Bytef tail[TAIL] = {0x00, 0x00, 0xFF, 0xFF};

/* ---- memory ---- */

/* Windows and hash chains hold messages: what is given back holds no secret any more. */
static void *zero_alloc(void *arg, uInt items, uInt size)
{
    size_t n = (size_t)items * size;
    max_align_t *memory = calloc(1, sizeof *memory + n);

    if (memory == NULL)
        return NULL;
    memcpy(memory, &n, sizeof n);
    return memory + 1;
}

static void wipe_free(void *arg, void *address)
{
    max_align_t *memory = (max_align_t *)address - 1;
    size_t n;

    memcpy(&n, memory, sizeof n);
    explicit_bzero(memory, sizeof *memory + n);
    free(memory);
}

/* ---- in ---- */

struct inflater {
    z_stream stream;
    bool ready; /* zlib's state is there */
    bool takeover;
    int bits;

    /* The message under way. */
    bool began;    /* a byte of it has come */
    bool end;      /* its last bytes have been fed */
    bool in_tail;  /* what is fed is the tail */
    bool at_final; /* all that was fed ended with a final block */
    bool full;     /* the last call filled its room: there may be more */
    struct error error;
};

int inflater_new(const struct deflate_terms *terms, struct inflater **out)
{
    struct inflater *inflater = calloc(1, sizeof *inflater);

    if (inflater == NULL)
        return ERR_NOMEM;
    inflater->stream.zalloc = zero_alloc;
    inflater->stream.zfree = wipe_free;
    inflater->takeover = !terms->server_no_context_takeover;
    /* Encoders on zlib have used 512 bytes where 256 were agreed. */
    inflater->bits = terms->server_bits > RAW_BITS_MIN ? (int)terms->server_bits : RAW_BITS_MIN;
    *out = inflater;
    return 0;
}

void inflater_free(struct inflater *inflater)
{
    if (inflater == NULL)
        return;
    if (inflater->ready)
        inflateEnd(&inflater->stream);
    free(inflater);
}

void inflater_feed(struct inflater *inflater, struct slice bytes, bool end)
{
    inflater->stream.next_in = (const Bytef *)bytes.ptr;
    inflater->stream.avail_in = (uInt)bytes.len;
    inflater->end = end;
}

/* Before a message's first byte. */
static int begin(struct inflater *inflater)
{
    z_stream *z = &inflater->stream;

    inflater->began = true;
    if (inflater->ready)
        return inflater->takeover || inflateReset(z) == Z_OK ? 0 : ERR_INVAL;
    if (inflateInit2(z, -inflater->bits) != Z_OK)
        return ERR_NOMEM;
    inflater->ready = true;
    return 0;
}

static void end_message(struct inflater *inflater)
{
    inflater->began = inflater->end = inflater->in_tail = inflater->at_final = false;
}

static int fail(struct inflater *inflater, int code, const char *what)
{
    return error_set(&inflater->error, code, "a compressed message that does not inflate: %s",
                     what);
}

/* What was fed is used up. True: the message needs its tail. */
static bool wants_tail(struct inflater *inflater)
{
    if (!inflater->end || inflater->in_tail)
        return false;
    /* A message without a byte is empty, and one whose last block is final is complete. */
    return inflater->began && !inflater->at_final;
}

/* One call of zlib, and what it says. */
static void inflate_some(struct inflater *inflater)
{
    z_stream *z = &inflater->stream;
    int rc;

    if (z->avail_in > 0)
        inflater->at_final = false;
    rc = inflate(z, Z_SYNC_FLUSH);
    inflater->full = z->avail_out == 0 && rc == Z_OK;
    if (rc == Z_STREAM_END && !inflater->in_tail) {
        inflater->at_final = true;
        inflateResetKeep(z);
    } else if (rc == Z_MEM_ERROR) {
        fail(inflater, ERR_NOMEM, "no memory");
    } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
        fail(inflater, ERR_PROTOCOL, z->msg != NULL ? z->msg : "it ends within a block");
    }
}

/* zlib's account of where it stands: between two blocks, not behind a final one, no bit unread. */
static bool between_blocks(const struct inflater *inflater)
{
    return (inflater->stream.data_type & 0xFF) == 0x80;
}

int inflater_next(struct inflater *inflater, char *out, size_t room, size_t *n, struct error *err)
{
    z_stream *z = &inflater->stream;

    *n = 0;
    room = room < UINT_MAX ? room : UINT_MAX;
    while (inflater->error.code == 0) {
        if (z->avail_in == 0 && !inflater->full && wants_tail(inflater)) {
            inflater->in_tail = true;
            z->next_in = tail;
            z->avail_in = TAIL;
        } else if (z->avail_in == 0 && !inflater->full) {
            if (inflater->in_tail && !between_blocks(inflater)) {
                fail(inflater, ERR_PROTOCOL, "it ends within a block");
                break;
            }
            if (inflater->end)
                end_message(inflater);
            return 0;
        }
        if (!inflater->began && begin(inflater) != 0) {
            fail(inflater, ERR_NOMEM, "no memory");
            break;
        }
        z->next_out = (Bytef *)out;
        z->avail_out = (uInt)room;
        inflate_some(inflater);
        *n = room - z->avail_out;
        if (*n > 0)
            return 0; /* what is wrong behind it is said next time */
    }
    return error_set(err, inflater->error.code, "%s", inflater->error.text);
}

bool inflater_drop(struct inflater *inflater)
{
    if (inflater->takeover)
        return false;
    inflater_feed(inflater, SLICE(""), false);
    inflater->full = false;
    inflater->error.code = 0; /* zlib may have seen what is wrong beyond the room it filled */
    end_message(inflater);
    return true;
}

/* ---- out ---- */

/* The smallest window that holds the message, so that memory goes by its size. */
static int window_bits(const struct deflate_terms *terms, size_t len)
{
    int bits = RAW_BITS_MIN;

    while (bits < (int)terms->client_bits && (size_t)1 << bits < len)
        bits++;
    return bits;
}

/* Into room for less than the message with its tail: so it ends there only if it got shorter. */
static bool deflate_into(z_stream *z, struct slice message, struct buf *out)
{
    z->next_in = (const Bytef *)message.ptr;
    z->avail_in = (uInt)message.len;
    z->next_out = (Bytef *)out->data + out->len;
    z->avail_out = (uInt)message.len + TAIL;
    if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in > 0 || z->avail_out == 0)
        return false;
    out->len += message.len - z->avail_out; /* without the tail */
    return true;
}

bool deflate_message(const struct deflate_terms *terms, struct slice message, struct buf *out)
{
    z_stream z = {.zalloc = zero_alloc, .zfree = wipe_free};
    bool done;
    int bits;

    if (!terms->agreed || terms->client_bits < RAW_BITS_MIN || message.len < DEFLATE_MIN ||
        message.len > UINT_MAX - TAIL)
        return false;
    bits = window_bits(terms, message.len);
    if (buf_reserve(out, message.len + TAIL) != 0 ||
        deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, -bits, bits - 7, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    done = deflate_into(&z, message, out);
    deflateEnd(&z);
    return done;
}
