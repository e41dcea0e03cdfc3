/* The values on disk; format.h has the layout. */
#include "store/format.h"

#include <endian.h>
#include <string.h>

#include "base/crc32c.h"

#define NO_POSITION 0xFFFFU

static void put16(uint8_t *p, uint16_t value)
{
    value = htole16(value);
    memcpy(p, &value, sizeof value);
}

static void put32(uint8_t *p, uint32_t value)
{
    value = htole32(value);
    memcpy(p, &value, sizeof value);
}

static void put64(uint8_t *p, uint64_t value)
{
    value = htole64(value);
    memcpy(p, &value, sizeof value);
}

static uint16_t get16(const uint8_t *p)
{
    uint16_t value;

    memcpy(&value, p, sizeof value);
    return le16toh(value);
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t value;

    memcpy(&value, p, sizeof value);
    return le32toh(value);
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t value;

    memcpy(&value, p, sizeof value);
    return le64toh(value);
}

/* Every value begins with the checksum of its key and of the rest of it. */
static uint32_t checksum(struct slice key, const uint8_t *value, size_t size)
{
    return crc32c(crc32c(0, key.ptr, key.len), value + 4, size - 4);
}

static void seal(uint8_t *value, size_t size, struct slice key)
{
    put32(value, checksum(key, value, size));
}

static int check(const uint8_t *value, size_t size, struct slice key)
{
    return get32(value) == checksum(key, value, size) ? 0 : ERR_CORRUPT;
}

/* The key of e. and d. as the checksum takes it. */
struct seq_key {
    uint8_t bytes[12];
};

static struct slice seq_key(struct seq_key *key, uint64_t seq, unsigned stream)
{
    put64(key->bytes, seq);
    put32(key->bytes + 8, stream);
    return slice_make((const char *)key->bytes, sizeof key->bytes);
}

void format_version_encode(uint8_t *out, uint32_t format)
{
    put32(out + 4, format);
    seal(out, FORMAT_VERSION_BYTES, SLICE("format"));
}

int format_version_decode(const void *data, size_t size, uint32_t *format)
{
    if (size != FORMAT_VERSION_BYTES || check(data, size, SLICE("format")) != 0)
        return ERR_CORRUPT;
    *format = get32((const uint8_t *)data + 4);
    return 0;
}

void format_instance_encode(uint8_t *out, const struct format_instance *instance)
{
    memcpy(out + 4, instance->uuid, 16);
    memcpy(out + 20, instance->hash_key, 16);
    seal(out, FORMAT_INSTANCE_BYTES, SLICE("instance"));
}

int format_instance_decode(const void *data, size_t size, struct format_instance *instance)
{
    const uint8_t *p = data;

    if (size != FORMAT_INSTANCE_BYTES || check(p, size, SLICE("instance")) != 0)
        return ERR_CORRUPT;
    memcpy(instance->uuid, p + 4, 16);
    memcpy(instance->hash_key, p + 20, 16);
    return 0;
}

void format_reserved_encode(uint8_t *out, uint64_t seq)
{
    put64(out + 4, seq);
    seal(out, FORMAT_RESERVED_BYTES, SLICE("reserved"));
}

int format_reserved_decode(const void *data, size_t size, uint64_t *seq)
{
    if (size != FORMAT_RESERVED_BYTES || check(data, size, SLICE("reserved")) != 0)
        return ERR_CORRUPT;
    *seq = get64((const uint8_t *)data + 4);
    return 0;
}

size_t format_row_encode(uint8_t *out, struct slice name, const struct format_row *row)
{
    size_t len = row->has_position ? row->position_len : 0;

    put32(out + 4, row->id);
    memcpy(out + 8, row->fingerprint, 16);
    put64(out + 24, row->first_seq);
    put64(out + 32, row->trimmed_seq);
    put64(out + 40, row->retain_size_bytes);
    put64(out + 48, (uint64_t)row->retain_age_ms);
    put32(out + 56, row->dedup_window);
    put16(out + 60, row->has_position ? (uint16_t)len : NO_POSITION);
    put16(out + 62, 0);
    memcpy(out + FORMAT_ROW_HEADER, row->position, len);
    seal(out, FORMAT_ROW_HEADER + len, name);
    return FORMAT_ROW_HEADER + len;
}

int format_row_decode(const void *data, size_t size, struct slice name, struct format_row *row)
{
    const uint8_t *p = data;
    unsigned len;

    if (size < FORMAT_ROW_HEADER || size > FORMAT_ROW_MAX || check(p, size, name) != 0)
        return ERR_CORRUPT;
    len = get16(p + 60);
    row->has_position = len != NO_POSITION;
    row->position_len = row->has_position ? len : 0;
    if (size != FORMAT_ROW_HEADER + row->position_len)
        return ERR_CORRUPT;
    row->id = get32(p + 4);
    if (row->id >= LIMIT_STREAMS)
        return ERR_CORRUPT;
    memcpy(row->fingerprint, p + 8, 16);
    row->first_seq = get64(p + 24);
    row->trimmed_seq = get64(p + 32);
    row->retain_size_bytes = get64(p + 40);
    row->retain_age_ms = (int64_t)get64(p + 48);
    row->dedup_window = get32(p + 56);
    memcpy(row->position, p + FORMAT_ROW_HEADER, row->position_len);
    return 0;
}

size_t format_record_size(const struct store_record *record)
{
    return FORMAT_RECORD_HEADER + record->type.len + record->line.len;
}

void format_record_encode(uint8_t *out, const struct store_record *record)
{
    struct seq_key key;
    uint8_t *p = out + FORMAT_RECORD_HEADER;

    out[4] = FORMAT_RECORD_LAYOUT;
    out[5] = record->kind == STORE_GAP;
    put16(out + 6, (uint16_t)record->type.len);
    put32(out + 8, (uint32_t)record->line.len);
    put64(out + 12, (uint64_t)record->received_us);
    if (record->type.len != 0)
        memcpy(p, record->type.ptr, record->type.len);
    if (record->line.len != 0)
        memcpy(p + record->type.len, record->line.ptr, record->line.len);
    seal(out, format_record_size(record), seq_key(&key, record->seq, record->stream));
}

int format_record_decode(const void *data, size_t size, uint64_t seq, unsigned stream,
                         struct store_event *event)
{
    const uint8_t *p = data;
    struct seq_key key;
    size_t type_len, line_len;

    if (size < FORMAT_RECORD_HEADER)
        return ERR_CORRUPT;
    type_len = get16(p + 6);
    line_len = get32(p + 8);
    if (size != FORMAT_RECORD_HEADER + type_len + line_len ||
        check(p, size, seq_key(&key, seq, stream)) != 0 || p[4] != FORMAT_RECORD_LAYOUT || p[5] > 1)
        return ERR_CORRUPT;
    event->seq = seq;
    event->stream = stream;
    event->kind = p[5] == 1 ? STORE_GAP : STORE_EVENT;
    event->received_us = (int64_t)get64(p + 12);
    event->type = slice_make((const char *)p + FORMAT_RECORD_HEADER, type_len);
    event->line = slice_make((const char *)p + FORMAT_RECORD_HEADER + type_len, line_len);
    return 0;
}

bool format_record_received(const void *data, size_t size, int64_t *received_us)
{
    if (size < FORMAT_RECORD_HEADER)
        return false;
    *received_us = (int64_t)get64((const uint8_t *)data + 12);
    return true;
}

size_t format_keys_size(size_t count)
{
    return FORMAT_KEYS_HEADER + count * FORMAT_KEY;
}

size_t format_keys_count(size_t size)
{
    return size < FORMAT_KEYS_HEADER ? 0 : (size - FORMAT_KEYS_HEADER) / FORMAT_KEY;
}

void format_keys_encode(uint8_t *out, uint64_t seq, unsigned stream, const uint8_t *older,
                        size_t n_older, const uint8_t *keys, size_t count)
{
    uint8_t *at = out + FORMAT_KEYS_HEADER;
    struct seq_key key;

    if (n_older > 0)
        memcpy(at, older, n_older * FORMAT_KEY);
    memcpy(at + n_older * FORMAT_KEY, keys, count * FORMAT_KEY);
    seal(out, format_keys_size(n_older + count), seq_key(&key, seq, stream));
}

int format_keys_decode(const void *data, size_t size, uint64_t seq, unsigned stream,
                       const uint8_t **keys, size_t *count)
{
    struct seq_key key;

    *count = format_keys_count(size);
    if (size != format_keys_size(*count) || check(data, size, seq_key(&key, seq, stream)) != 0)
        return ERR_CORRUPT;
    *keys = (const uint8_t *)data + FORMAT_KEYS_HEADER;
    return 0;
}

size_t format_state_size(const struct store_state *state)
{
    return FORMAT_STATE_HEADER + state->value.len;
}

void format_state_encode(uint8_t *out, const struct store_state *state, int64_t saved_us)
{
    put32(out + 4, FORMAT_STATE_LAYOUT);
    put64(out + 8, (uint64_t)saved_us);
    if (state->value.len > 0)
        memcpy(out + FORMAT_STATE_HEADER, state->value.ptr, state->value.len);
    seal(out, format_state_size(state), state->key);
}

int format_state_decode(const void *data, size_t size, struct store_state *state, int64_t *saved_us)
{
    const uint8_t *p = data;

    if (size < FORMAT_STATE_HEADER || check(p, size, state->key) != 0 ||
        get32(p + 4) != FORMAT_STATE_LAYOUT)
        return ERR_CORRUPT;
    *saved_us = (int64_t)get64(p + 8);
    state->value = slice_make((const char *)p + FORMAT_STATE_HEADER, size - FORMAT_STATE_HEADER);
    return 0;
}
