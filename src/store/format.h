/*
 * format.h - the store on disk, format 2, byte by byte.
 *
 * Decides: what every value in the file looks like, and that each carries a checksum.
 * Leaves to others: which values are written when (append.c, streams.c, retain.c).
 * Owns: nothing; pure functions over the caller's bytes.
 * Fails: decoders return ERR_CORRUPT for bytes that we cannot have written, and never read
 * outside of them.
 */
/* clang-format off */
/*
 * The directory holds data.mdb and lock.mdb (LMDB's), and `lock`, which the daemon keeps locked
 * and which holds its pid in decimal (and, in a line "suspect: WHY", that it is to be checked);
 * new.mdb is a store that is just being made. In data.mdb are these databases:
 *
 *   meta      three rows, key is text
 *             "format"    u32 crc, u32 format              this row stays so in all formats
 *             "instance"  u32 crc, uuid[16], hash_key[16]
 *             "reserved"  u32 crc, u64 reserved_seq
 *   streams   one row a stream, key is its name
 *              0  u32 crc
 *              4  u32 id                                   names e.<id> and d.<id>
 *              8  fingerprint[16]                          SipHash-128 under hash_key
 *             24  u64 first_seq                            the first ever stored, 0: none yet
 *             32  u64 trimmed_seq                          the newest that retention deleted, 0: none
 *             40  u64 retain_size_bytes                    as last configured; 0: no limit
 *             48  i64 retain_age_ms                        the same
 *             56  u32 dedup_window
 *             60  u16 position length, 0xFFFF: no position
 *             62  u16 zero
 *             64  position
 *   e.<id>    the records of a stream, key is the seq (MDB_INTEGERKEY)
 *              0  u32 crc
 *              4  u8 layout, 1
 *              5  u8 kind, 0 event, 1 gap
 *              6  u16 type length
 *              8  u32 line length
 *             12  i64 received_us
 *             20  type, line
 *   d.<id>    dedup keys, of one commit or several, key is the seq of the first record among them
 *             that has one
 *              0  u32 crc
 *              4  keys of 16 bytes, in the order they came
 *   state     saved states, key is the caller's
 *              0  u32 crc
 *              4  u32 layout, 1
 *              8  i64 saved_us                             by the wall clock
 *             16  value
 *
 * Of a stream that has been forgotten e.<id> and d.<id> stay, empty, until another gets the id.
 *
 * Formats: in 1 the database `state` was made with the first state; since 2 it is always there. An
 * older store is upgraded when it is opened (upgrade.c); a newer one is refused.
 *
 * Integers in values are little-endian. A crc is CRC-32C of the row's key, then of the rest of the
 * value; for e. and d. the key is taken as u64 seq, u32 id, both little-endian. So a value that is
 * found under a wrong key, or in the wrong stream, is corrupt too. LMDB's own integers (and the
 * keys of e. and d.) are in the byte order of the machine: a store does not move to one of another
 * order.
 */
/* clang-format on */
#ifndef HAWSER_STORE_FORMAT_H
#define HAWSER_STORE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum {
    FORMAT_RECORD_HEADER = 20, /* bytes before type and line */
    FORMAT_RECORD_LAYOUT = 1,
    FORMAT_ROW_HEADER = 64, /* bytes before the position */
    FORMAT_ROW_MAX = FORMAT_ROW_HEADER + LIMIT_POSITION,
    FORMAT_KEY = 16,        /* bytes of a dedup key */
    FORMAT_KEYS_HEADER = 4, /* bytes before the keys */
    FORMAT_VERSION_BYTES = 8,
    FORMAT_INSTANCE_BYTES = 36,
    FORMAT_RESERVED_BYTES = 12,
    FORMAT_STATE_HEADER = 16, /* bytes before the value */
    FORMAT_STATE_LAYOUT = 1,
};

struct format_instance {
    uint8_t uuid[16];
    uint8_t hash_key[16];
};

/* A row of the database `streams`. */
struct format_row {
    unsigned id;
    uint8_t fingerprint[16];
    uint64_t first_seq;
    uint64_t trimmed_seq;
    uint64_t retain_size_bytes;
    int64_t retain_age_ms;
    uint32_t dedup_window;
    bool has_position;
    size_t position_len;
    char position[LIMIT_POSITION];
};

/* `out` has room for what the size function, or the constant above, says. */
void format_version_encode(uint8_t *out, uint32_t format);
int format_version_decode(const void *data, size_t size, uint32_t *format);
void format_instance_encode(uint8_t *out, const struct format_instance *instance);
int format_instance_decode(const void *data, size_t size, struct format_instance *instance);
void format_reserved_encode(uint8_t *out, uint64_t seq);
int format_reserved_decode(const void *data, size_t size, uint64_t *seq);

/* Returns the bytes written, at most FORMAT_ROW_MAX. */
size_t format_row_encode(uint8_t *out, struct slice name, const struct format_row *row);
int format_row_decode(const void *data, size_t size, struct slice name, struct format_row *row);

size_t format_record_size(const struct store_record *record);
void format_record_encode(uint8_t *out, const struct store_record *record);
/* The slices of `event` point into `data`. */
int format_record_decode(const void *data, size_t size, uint64_t seq, unsigned stream,
                         struct store_event *event);
/* When it was received, without a look at the checksum; false: too short to tell. */
bool format_record_received(const void *data, size_t size, int64_t *received_us);

/* Bytes of a row of `count` keys, and how many a row of `size` bytes holds. */
size_t format_keys_size(size_t count);
size_t format_keys_count(size_t size);
/* Of two parts, one behind the other. */
void format_keys_encode(uint8_t *out, uint64_t seq, unsigned stream, const uint8_t *older,
                        size_t n_older, const uint8_t *keys, size_t count);
/* `keys` points into `data`. */
int format_keys_decode(const void *data, size_t size, uint64_t seq, unsigned stream,
                       const uint8_t **keys, size_t *count);

size_t format_state_size(const struct store_state *state);
void format_state_encode(uint8_t *out, const struct store_state *state, int64_t saved_us);
/* The state's key is given; its value points into `data`. */
int format_state_decode(const void *data, size_t size, struct store_state *state,
                        int64_t *saved_us);

#endif
