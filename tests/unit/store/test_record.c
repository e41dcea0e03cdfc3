/* The values on disk: what is encoded decodes, what is damaged is refused. */
#include "store_fixture.h"

#include "store/format.h"

static const struct store_record sample = {.seq = 7,
                                           .stream = 3,
                                           .kind = STORE_GAP,
                                           .received_us = -5,
                                           .type = {"type", 4},
                                           .line = {"{\"a\":1}", 7}};

static void a_record_comes_back(void **state)
{
    uint8_t bytes[64];
    struct store_event event;
    int64_t received;

    assert_int_equal(format_record_size(&sample), FORMAT_RECORD_HEADER + 11);
    format_record_encode(bytes, &sample);
    assert_int_equal(format_record_decode(bytes, FORMAT_RECORD_HEADER + 11, 7, 3, &event), 0);
    assert_int_equal(event.seq, 7);
    assert_int_equal(event.stream, 3);
    assert_int_equal(event.kind, STORE_GAP);
    assert_int_equal(event.received_us, -5);
    assert_true(slice_eq(event.type, sample.type));
    assert_true(slice_eq(event.line, sample.line));
    assert_true(format_record_received(bytes, FORMAT_RECORD_HEADER, &received));
    assert_int_equal(received, -5);
    assert_false(format_record_received(bytes, FORMAT_RECORD_HEADER - 1, &received));
}

/* The layout is a promise to stores on disk: these bytes may only change with STORE_FORMAT. */
static void the_layout_is_fixed(void **state)
{
    static const uint8_t want[] = {1,    1,    4,    0,    7,    0,    0,    0,   0xFB,
                                   0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 't', 'y',
                                   'p',  'e',  '{',  '"',  'a',  '"',  ':',  '1', '}'};
    uint8_t bytes[64];

    assert_int_equal(STORE_FORMAT, 2);
    format_record_encode(bytes, &sample);
    assert_memory_equal(bytes + 4, want, sizeof want);
}

static void a_damaged_record_is_refused(void **state)
{
    const size_t size = FORMAT_RECORD_HEADER + 11;
    uint8_t bytes[64];
    struct store_event event;

    format_record_encode(bytes, &sample);
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(format_record_decode(bytes, size, 7, 3, &event), ERR_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *exact = test_malloc(cut + 1); /* so that reading past the end is noticed */

        memcpy(exact, bytes, cut);
        assert_int_equal(format_record_decode(exact, cut, 7, 3, &event), ERR_CORRUPT);
        test_free(exact);
    }
    assert_int_equal(format_record_decode(bytes, size + 1, 7, 3, &event), ERR_CORRUPT);
    assert_int_equal(format_record_decode(bytes, size, 8, 3, &event), ERR_CORRUPT);
    assert_int_equal(format_record_decode(bytes, size, 7, 4, &event), ERR_CORRUPT);
    assert_int_equal(format_record_decode(bytes, size, 7, 3, &event), 0);
}

static struct format_row sample_row(size_t position_len)
{
    struct format_row row = {.id = LIMIT_STREAMS - 1,
                             .fingerprint = {1, 2, 3},
                             .first_seq = 5,
                             .trimmed_seq = UINT64_MAX - 1,
                             .retain_size_bytes = 1 << 20,
                             .retain_age_ms = 86400000,
                             .dedup_window = 100000,
                             .has_position = true,
                             .position_len = position_len};

    memset(row.position, 'p', position_len);
    return row;
}

static void a_row_comes_back(void **state)
{
    static const size_t lengths[] = {0, 1, LIMIT_POSITION};
    uint8_t bytes[FORMAT_ROW_MAX], again[FORMAT_ROW_MAX];

    for (size_t i = 0; i < 3; i++) {
        struct format_row row = sample_row(lengths[i]), back = {0};
        size_t size = format_row_encode(bytes, SLICE("chat"), &row);

        assert_int_equal(size, FORMAT_ROW_HEADER + lengths[i]);
        assert_int_equal(format_row_decode(bytes, size, SLICE("chat"), &back), 0);
        assert_int_equal(format_row_encode(again, SLICE("chat"), &back), size);
        assert_memory_equal(bytes, again, size);
        assert_int_equal(back.trimmed_seq, row.trimmed_seq);
        assert_int_equal(back.dedup_window, row.dedup_window);
        for (size_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_int_equal(format_row_decode(bytes, size, SLICE("chat"), &back), ERR_CORRUPT);
            bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(format_row_decode(bytes, cut, SLICE("chat"), &back), ERR_CORRUPT);
        assert_int_equal(format_row_decode(bytes, size, SLICE("chas"), &back), ERR_CORRUPT);
    }
}

static void a_row_without_a_position_is_not_one_with_an_empty_position(void **state)
{
    struct format_row row = sample_row(0), back;
    uint8_t bytes[FORMAT_ROW_MAX];
    size_t size;

    row.has_position = false;
    size = format_row_encode(bytes, SLICE("a"), &row);
    assert_int_equal(format_row_decode(bytes, size, SLICE("a"), &back), 0);
    assert_false(back.has_position);
    row.has_position = true;
    size = format_row_encode(bytes, SLICE("a"), &row);
    assert_int_equal(format_row_decode(bytes, size, SLICE("a"), &back), 0);
    assert_true(back.has_position);
}

static void an_id_out_of_range_is_refused(void **state)
{
    struct format_row row = sample_row(0), back;
    uint8_t bytes[FORMAT_ROW_MAX];
    size_t size;

    row.id = LIMIT_STREAMS;
    size = format_row_encode(bytes, SLICE("a"), &row);
    assert_int_equal(format_row_decode(bytes, size, SLICE("a"), &back), ERR_CORRUPT);
}

static void dedup_keys_come_back(void **state)
{
    uint8_t in[3 * FORMAT_KEY], bytes[64];
    const uint8_t *out;
    size_t count, size = format_keys_size(3);

    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)i;
    format_keys_encode(bytes, 9, 2, in, 1, in + 16, 2);
    assert_int_equal(format_keys_count(size), 3);
    assert_int_equal(format_keys_decode(bytes, size, 9, 2, &out, &count), 0);
    assert_int_equal(count, 3);
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(format_keys_decode(bytes, size, 8, 2, &out, &count), ERR_CORRUPT);
    assert_int_equal(format_keys_decode(bytes, size, 9, 1, &out, &count), ERR_CORRUPT);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(format_keys_decode(bytes, cut, 9, 2, &out, &count), ERR_CORRUPT);
    bytes[10] ^= 1;
    assert_int_equal(format_keys_decode(bytes, size, 9, 2, &out, &count), ERR_CORRUPT);
}

static void meta_rows_come_back(void **state)
{
    struct format_instance instance = {{1, 2}, {3, 4}}, back;
    uint8_t bytes[FORMAT_INSTANCE_BYTES];
    uint32_t format;
    uint64_t seq;

    format_version_encode(bytes, 77);
    assert_int_equal(format_version_decode(bytes, FORMAT_VERSION_BYTES, &format), 0);
    assert_int_equal(format, 77);
    bytes[5] ^= 1;
    assert_int_equal(format_version_decode(bytes, FORMAT_VERSION_BYTES, &format), ERR_CORRUPT);
    assert_int_equal(format_version_decode(bytes, 3, &format), ERR_CORRUPT);

    format_instance_encode(bytes, &instance);
    assert_int_equal(format_instance_decode(bytes, FORMAT_INSTANCE_BYTES, &back), 0);
    assert_memory_equal(&instance, &back, sizeof back);
    assert_int_equal(format_instance_decode(bytes, FORMAT_INSTANCE_BYTES - 1, &back), ERR_CORRUPT);

    format_reserved_encode(bytes, UINT64_MAX);
    assert_int_equal(format_reserved_decode(bytes, FORMAT_RESERVED_BYTES, &seq), 0);
    assert_true(seq == UINT64_MAX);
    /* The rows of meta do not pass for one another. */
    assert_int_equal(format_version_decode(bytes, FORMAT_RESERVED_BYTES, &format), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back),
        cmocka_unit_test(the_layout_is_fixed),
        cmocka_unit_test(a_damaged_record_is_refused),
        cmocka_unit_test(a_row_comes_back),
        cmocka_unit_test(a_row_without_a_position_is_not_one_with_an_empty_position),
        cmocka_unit_test(an_id_out_of_range_is_refused),
        cmocka_unit_test(dedup_keys_come_back),
        cmocka_unit_test(meta_rows_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
