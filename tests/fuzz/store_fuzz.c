/*
 * store: a file that is damaged is found out, or can be used; and what it serves is what was
 * stored.
 *
 * The first byte chooses the file to begin with: one of three moments in a small store's life, one
 * of zeros, or the rest of the input itself. The rest is damage to it, a piece after the other:
 * bits that flip, pages that are lost, torn, written to a wrong place or left from an earlier time,
 * nodes and heads with a field changed, an end cut off. Then:
 *   - the check of pages and rows finds it, or
 *   - opening it says what is wrong, or
 *   - it is read, written to, trimmed, opened again and read again; LMDB finds nothing wrong with
 * it, which after the check it must not; and each record, key and state is as it was stored, or
 *     stands in the file as it is served, checksum and all (the fuzzer can forge those).
 *
 * A broken promise ends the process, as libFuzzer wants it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    PAGE = 4096,
    SECTOR = 512,
    IMAGE_MAX = 512 * 1024,
    LINE_BYTES = 6000,
    BATCHES = 40,
    PER_BATCH = 3,
    WINDOW = 16,
    APPENDED = 1000000, /* seq from which on this run appends */
    EMPTY_PAGES = 16,
};

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__, ""))
#define OK(call)                                                                                   \
    do {                                                                                           \
        struct error ok_err = {0}, *why = &ok_err;                                                 \
        if ((call) != 0)                                                                           \
            broken(#call, __LINE__, ok_err.text);                                                  \
    } while (0)

static void broken(const char *what, int line, const char *why)
{
    fprintf(stderr, "store_fuzz.c:%d: does not hold: %s %s\n", line, what, why);
    abort();
}

struct image {
    uint8_t bytes[IMAGE_MAX];
    size_t size;
};

/* ---- the store that is damaged ---- */

static struct image moments[3], now;
static char directory[64], path[80], data_path[96], lock_path[96];
static int data_fd = -1;
static struct store_options options = {
    .path = path, .retain_size_bytes = 4 * LIMIT_MIB, .no_sync = true};

static void silent(void *arg, const struct log_record *record)
{
    (void)arg;
    (void)record;
}

static void remove_all(void)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "lock"};
    char name[128];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(name, sizeof name, "%s/%s", path, names[i]);
        unlink(name);
    }
    rmdir(path);
    rmdir(directory);
}

static struct slice line_of(uint64_t seq)
{
    static char line[LINE_BYTES];
    size_t len = seq % 11 == 0 ? 5000 : 20 + seq * 37 % 700;

    memset(line, (int)('a' + seq % 26), len);
    return slice_make(line, len);
}

static struct store_record record_of(uint64_t seq, unsigned stream)
{
    struct store_record r = {.seq = seq,
                             .stream = stream,
                             .kind = seq % 13 == 0 ? STORE_GAP : STORE_EVENT,
                             .received_us = (int64_t)seq * 1000000,
                             .type = SLICE("room.message"),
                             .has_key = seq % 2 == 0};

    memcpy(r.key, &seq, sizeof seq);
    return r;
}

static unsigned open_stream(struct store *store, unsigned number)
{
    struct store_stream_options o = {.name = number == 0 ? "chat" : "prices",
                                     .fingerprint = SLICE("as ever"),
                                     .dedup_window = WINDOW,
                                     .retain_size_bytes = number == 0 ? 12 * PAGE : 0};
    struct store_stream_state state;

    OK(store_stream_open(store, &o, &state, why));
    return state.id;
}

/* One batch, whose lines share a buffer: they are appended one by one. */
static void append_batch(struct store *store, unsigned number)
{
    char text[24];
    struct store_state states[2] = {{.key = SLICE("stream/chat")}, {.key = SLICE("once")}};

    for (unsigned i = 0; i < PER_BATCH; i++) {
        struct store_record r = record_of((uint64_t)number * PER_BATCH + i + 1, i % 2);

        r.line = line_of(r.seq);
        snprintf(text, sizeof text, "%llu", (unsigned long long)r.seq);
        r.position = slice_str(text);
        states[0].value = slice_str(text);
        if (number % 4 == 0)
            states[1].value = SLICE("it is here");
        OK(store_append_with(store, &r, 1, states, 2, (int64_t)r.seq, r.seq + 100, why));
    }
}

/* So that each run damages the same bytes: who made a store is drawn at random. */
static void fix_identity(void)
{
    struct format_instance instance = {.uuid = {1}, .hash_key = {2}};
    uint8_t bytes[FORMAT_INSTANCE_BYTES];
    MDB_val key = store_val("instance", 8), value = store_val(bytes, sizeof bytes);
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi = 0;

    format_instance_encode(bytes, &instance);
    CHECK(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 4) == 0);
    CHECK(mdb_env_open(env, path, MDB_NOSYNC, 0600) == 0);
    CHECK(mdb_txn_begin(env, NULL, 0, &txn) == 0);
    CHECK(mdb_dbi_open(txn, "meta", 0, &dbi) == 0);
    CHECK(mdb_put(txn, dbi, &key, &value, 0) == 0 && mdb_txn_commit(txn) == 0);
    mdb_env_close(env);
}

static void take_image(struct image *image)
{
    ssize_t n = pread(data_fd, image->bytes, IMAGE_MAX, 0);

    CHECK(n > 0 && n < IMAGE_MAX && n % PAGE == 0);
    image->size = (size_t)n;
}

static void begin(void)
{
    struct store *store;
    bool more;

    log_set_sink(silent, NULL);
    strcpy(directory, access("/dev/shm", W_OK) == 0 ? "/dev/shm/hawser-fuzz-XXXXXX"
                                                    : "/tmp/hawser-fuzz-XXXXXX");
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/store", directory);
    snprintf(data_path, sizeof data_path, "%s/data.mdb", path);
    snprintf(lock_path, sizeof lock_path, "%s/lock", path);
    CHECK(atexit(remove_all) == 0);
    OK(store_open(&options, &store, why));
    store_close(store);
    fix_identity();
    data_fd = open(data_path, O_RDWR | O_CLOEXEC);
    CHECK(data_fd >= 0);
    OK(store_open(&options, &store, why));
    CHECK(open_stream(store, 0) == 0 && open_stream(store, 1) == 1);
    for (unsigned i = 0; i < BATCHES; i++) {
        append_batch(store, i);
        if (i % 8 == 7)
            OK(store_retain(store, 0, &more, why));
        if (i >= BATCHES - 3)
            take_image(&moments[i - (BATCHES - 3)]);
    }
    store_close(store);
}

/* ---- damage ---- */

struct input {
    const uint8_t *at;
    size_t left;
};

static unsigned take(struct input *in, unsigned bytes)
{
    unsigned value = 0;

    for (; bytes > 0 && in->left > 0; bytes--, in->at++, in->left--)
        value = value << 8 | *in->at;
    return value;
}

enum damage {
    FLIP,
    WRITE,
    ZERO,
    EARLIER,     /* the page as it was a moment before */
    TORN,        /* a part of it as it was */
    ELSEWHERE,   /* written to a wrong place */
    CUT,         /* the file's end */
    HEAD_FIELD,  /* of a page */
    NODE_OFFSET, /* where a node begins */
    NODE_FIELD,
    META_FIELD, /* of the file's two heads */
    DAMAGES,
};

/* The place of page `number` in the image, and how many of its bytes there are. */
static uint8_t *page_at(unsigned number, size_t *room)
{
    size_t at = number * (size_t)PAGE % (now.size + 1);

    *room = now.size - at < PAGE ? now.size - at : PAGE;
    return now.bytes + at;
}

static void copy_page(uint8_t *page, size_t room, const uint8_t *from, size_t most)
{
    memmove(page, from, room < most ? room : most);
}

static void set16(uint8_t *page, size_t room, size_t at, unsigned value)
{
    uint16_t v = (uint16_t)value;

    if (at + sizeof v <= room)
        memcpy(page + at, &v, sizeof v);
}

static unsigned get16(const uint8_t *page, size_t room, size_t at)
{
    uint16_t v = 0;

    if (at + sizeof v <= room)
        memcpy(&v, page + at, sizeof v);
    return v;
}

static void damage_bytes(struct input *in, enum damage kind, uint8_t *page, size_t room)
{
    unsigned at = take(in, 2) % PAGE, count;

    if (at >= room)
        return;
    if (kind == FLIP) {
        page[at] ^= (uint8_t)(1u << take(in, 1) % 8);
        return;
    }
    count = take(in, 1) % 32 + 1;
    for (unsigned i = at; i < room && count > 0; i++, count--)
        page[i] = kind == ZERO ? 0 : (uint8_t)take(in, 1);
}

static void damage_field(struct input *in, enum damage kind, uint8_t *page, size_t room)
{
    unsigned which = take(in, 1), value = take(in, 2);
    uint64_t wide = value;

    if (kind == HEAD_FIELD)
        set16(page, room, which % 8 * 2, value);
    else if (kind == NODE_OFFSET)
        set16(page, room, 16 + which * 2, value);
    else if (kind == NODE_FIELD)
        set16(page, room, get16(page, room, 16 + which / 4 * 2) + which % 4 * 2, value);
    else if (room >= PAGE) /* whatever page: the heads are the first two */
        memcpy(page + 16 + which % 17 * 8, &wide, sizeof wide);
}

static void damage_page(struct input *in, const struct image *before)
{
    enum damage kind = (enum damage)(take(in, 1) % DAMAGES);
    unsigned number = take(in, 1);
    size_t room, other_room, at = number * (size_t)PAGE;
    uint8_t *page = page_at(number, &room);

    switch (kind) {
    case FLIP:
    case WRITE:
    case ZERO:
        damage_bytes(in, kind, page, room);
        break;
    case EARLIER:
        if (at + PAGE <= before->size && at + PAGE <= now.size)
            copy_page(now.bytes + at, PAGE, before->bytes + at, PAGE);
        break;
    case TORN:
        if (at + PAGE <= before->size && at + PAGE <= now.size)
            copy_page(now.bytes + at, PAGE, before->bytes + at, take(in, 1) % 8 * SECTOR);
        break;
    case ELSEWHERE: {
        const uint8_t *other = page_at(take(in, 1), &other_room);

        copy_page(page, room, other, other_room);
        break;
    }
    case CUT:
        if (at < now.size)
            now.size = at + take(in, 2) % PAGE;
        break;
    case HEAD_FIELD:
    case NODE_OFFSET:
    case NODE_FIELD:
    case META_FIELD:
        damage_field(in, kind, page, room);
        break;
    case DAMAGES:
        break;
    }
}

static void make_image(struct input in)
{
    unsigned which = take(&in, 1) % 5;

    if (which == 4) {
        now.size = in.left < IMAGE_MAX ? in.left : IMAGE_MAX;
        memcpy(now.bytes, in.at, now.size);
        return;
    }
    if (which == 3) {
        now.size = EMPTY_PAGES * PAGE;
        memset(now.bytes, 0, now.size);
    } else {
        now.size = moments[which].size;
        memcpy(now.bytes, moments[which].bytes, now.size);
    }
    while (in.left > 0)
        damage_page(&in, &moments[which == 0 || which == 3 ? 2 : which - 1]);
}

static void write_image(void)
{
    CHECK(ftruncate(data_fd, (off_t)now.size) == 0);
    CHECK(pwrite(data_fd, now.bytes, now.size, 0) == (ssize_t)now.size);
    CHECK(unlink(lock_path) == 0);
}

/* ---- what it serves ---- */

static uint32_t crc32c_slowly(uint32_t crc, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    return crc;
}

/* It stands in the file as it is served. Values of our own making are there too. */
static bool is_in_file(const uint8_t *bytes, size_t size)
{
    struct image *file = &now;

    return memmem(file->bytes, file->size, bytes, size) != NULL;
}

static void must_be_in_file(struct slice key, const uint8_t *bytes, size_t size)
{
    uint32_t crc = crc32c_slowly(UINT32_MAX, (const uint8_t *)key.ptr, key.len), there;

    memcpy(&there, bytes, sizeof there);
    CHECK(there == (uint32_t)~crc32c_slowly(crc, bytes + 4, size - 4));
    CHECK(is_in_file(bytes, size));
}

struct seen {
    uint64_t last;
    size_t count;
    bool appended;
};

static bool is_as_stored(const struct store_event *event, const struct store_record *r)
{
    return event->kind == r->kind && event->received_us == r->received_us &&
           slice_eq(event->type, r->type) && slice_eq(event->line, line_of(event->seq));
}

static bool on_event(void *arg, const struct store_event *event)
{
    struct seen *seen = arg;
    struct store_record r = record_of(event->seq, event->stream);
    uint8_t key[12], *bytes;

    CHECK(event->seq > seen->last);
    seen->last = event->seq;
    seen->count++;
    if (slice_eq_str(event->line, "appended")) {
        seen->appended = true;
        return true;
    }
    if (is_as_stored(event, &r))
        return true;
    r.kind = event->kind;
    r.received_us = event->received_us;
    r.type = event->type;
    r.line = event->line;
    bytes = malloc(format_record_size(&r));
    CHECK(bytes != NULL);
    format_record_encode(bytes, &r);
    memcpy(key, &event->seq, 8);
    memcpy(key + 8, &event->stream, 4);
    must_be_in_file(slice_make((char *)key, sizeof key), bytes, format_record_size(&r));
    free(bytes);
    return true;
}

static void on_lost(void *arg, unsigned stream, uint64_t from_seq, uint64_t to_seq)
{
    (void)arg;
    CHECK(stream < LIMIT_STREAMS && from_seq <= to_seq);
}

/* Damaged records are gone behind, as readers do. */
static struct seen read_all(struct store *store)
{
    struct seen seen = {0};
    struct store_read read = {
        .to_seq = UINT64_MAX, .visit = on_event, .lost = on_lost, .arg = &seen, .max_visits = 1000};
    struct store_info info;

    memset(read.streams, 0xFF, sizeof read.streams);
    store_info(store, &info);
    while (read.after_seq < info.newest_seq) {
        struct error err = {0};
        int rc = store_read(store, &read, &err);

        if (rc != 0 && rc != ERR_CORRUPT)
            broken("store_read", __LINE__, err.text);
        CHECK(rc == 0 || err.text[0] != '\0');
        if (rc == 0 && read.done_seq >= info.newest_seq)
            break;
        read.after_seq = read.done_seq + (rc != 0);
    }
    return seen;
}

static void on_key(void *arg, const uint8_t key[16])
{
    (void)key;
    ++*(size_t *)arg;
}

static void on_state(void *arg, const struct store_state *state, int64_t saved_us)
{
    uint8_t bytes[FORMAT_STATE_HEADER + 64];

    (void)arg;
    if (state->value.len > 64 || slice_eq_str(state->value, "saved"))
        return;
    format_state_encode(bytes, state, saved_us);
    must_be_in_file(state->key, bytes, format_state_size(state));
}

/* ---- using it ---- */

static void use_streams(struct store *store, struct seen seen)
{
    struct store_record r = record_of(seen.last < APPENDED ? APPENDED : seen.last + 1, 0);
    struct store_state state = {.key = SLICE("stream/prices"), .value = SLICE("saved")};
    struct store_info info;
    struct error err = {0};
    bool more;

    store_info(store, &info);
    if (info.newest_seq >= r.seq)
        return; /* a number that was forged */
    r.stream = open_stream(store, 0);
    r.line = SLICE("appended");
    open_stream(store, 1);
    OK(store_append_with(store, &r, 1, &state, 1, 1, r.seq + 1, why));
    CHECK(read_all(store).appended);
    if (store_retain(store, 1000000, &more, &err) != 0)
        broken("store_retain", __LINE__, err.text);
}

/* Nothing that LMDB does with it may fail for its pages' sake. */
static void use(struct store *store)
{
    struct seen seen = read_all(store);
    struct store_stream_info info;
    struct error err = {0};
    size_t keys = 0;
    int rc;

    for (unsigned i = 0; i < LIMIT_STREAMS; i++) {
        rc = store_stream_info(store, i, &info, &err);
        CHECK(rc == 0 || rc == ERR_NOTFOUND || rc == ERR_CORRUPT);
        rc = store_dedup_load(store, i, on_key, &keys, &err);
        CHECK(rc == 0 || rc == ERR_NOTFOUND || rc == ERR_CORRUPT);
    }
    rc = store_states(store, on_state, NULL, &err);
    CHECK(rc == 0 || rc == ERR_CORRUPT);
    use_streams(store, seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_check check = {.fd = -1};
    struct store as_file = {.path = path, .options = options};
    struct store *store;
    struct error err = {0};

    if (data_fd < 0)
        begin();
    make_image((struct input){data, size});
    if (now.size == 0)
        return 0; /* where there is no store one is made */
    write_image();
    store_check_pages(&check, path);
    if (!check.damaged)
        store_check_rows(&check, &as_file);
    if (check.damaged)
        goto out;
    if (store_open(&options, &store, &err) != 0) {
        CHECK(err.text[0] != '\0');
        goto out;
    }
    use(store);
    store_close(store);
    OK(store_open(&options, &store, why));
    read_all(store);
    store_close(store);
out:
    close(open(lock_path, O_CREAT | O_WRONLY, 0600));
    return 0;
}
