#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/bench.h"

const char *reader_kind_name(enum reader_kind kind)
{
    static const char *const names[] = {"ndjson", "named", "feed", "sse"};

    return names[kind];
}

/* ---- events ---- */

static uint64_t digits(const char *at, const char *end)
{
    uint64_t value = 0;

    for (; at < end && *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

_Noreturn static void wrong(const struct reader *reader, const char *what, const char *line,
                            size_t len)
{
    die("reader %u (%s): %s; seq %" PRIu64 ", number %" PRIu64 " was the newest, between %" PRIu64
        " and %" PRIu64 " is due: %.*s",
        reader->slot, reader_kind_name(reader->kind), what, reader->seq, reader->number,
        reader->least, reader->most, (int)(len < 300 ? len : 300), line);
}

/* Lines are much alike, so that the mark mostly is where it was. */
static const char *find_number(struct reader *reader, const char *line, size_t len)
{
    static const size_t mark = sizeof BENCH_MARK - 1;
    const char *at = line + reader->mark_at;

    if (len < mark + BENCH_TIME_AT + BENCH_TIME_DIGITS)
        return NULL;
    if (reader->mark_at + mark > len || memcmp(at, BENCH_MARK, mark) != 0)
        at = memmem(line, len, BENCH_MARK, mark);
    if (at == NULL || at + mark + BENCH_TIME_AT + BENCH_TIME_DIGITS > line + len)
        return NULL;
    reader->mark_at = (size_t)(at - line);
    return at + mark;
}

static void take_event(struct reader *reader, const char *line, size_t len)
{
    const char *at = find_number(reader, line, len);
    uint64_t seq = digits(line + 7, line + len), number;

    if (at == NULL)
        wrong(reader, "an event that nobody sent", line, len);
    number = digits(at, at + BENCH_NUMBER_DIGITS);
    if (reader->begun && seq <= reader->seq)
        wrong(reader, "its seq does not rise", line, len);
    if (reader->least != 0 && number < reader->least)
        wrong(reader, "an event comes twice", line, len);
    if (reader->most != 0 && number > reader->most && !reader->gap)
        wrong(reader, "events are missing", line, len);
    reader->seq = seq;
    reader->number = number;
    reader->least = reader->most = number + 1;
    reader->gap = false;
    reader->begun = true;
    reader->events++;
    if (reader->on_event != NULL)
        reader->on_event(reader,
                         digits(at + BENCH_TIME_AT, at + BENCH_TIME_AT + BENCH_TIME_DIGITS));
}

static bool begins(const char *line, size_t len, const char *with)
{
    size_t n = strlen(with);

    return len >= n && memcmp(line, with, n) == 0;
}

static bool holds(const char *line, size_t len, const char *what)
{
    for (size_t i = 0; i < len; i++)
        if (begins(line + i, len - i, what))
            return true;
    return false;
}

/* `{"seq":480,"stream":`, where a gap has a notice instead. */
static bool is_event(const char *line, size_t len)
{
    size_t i = 7;

    if (!begins(line, len, "{\"seq\":"))
        return false;
    while (i < len && line[i] >= '0' && line[i] <= '9')
        i++;
    return begins(line + i, len - i, ",\"stream\":");
}

static void take_other(struct reader *reader, const char *line, size_t len)
{
    if (holds(line, len, "\"notice\":\"gap\"")) {
        reader->gap = true;
        reader->gaps++;
    } else if (begins(line, len, "{\"id\":") && holds(line, len, "\"ok\":\"ack\"")) {
        reader->confirmed = digits(line + 6, line + len);
        reader->acks++;
    } else if (holds(line, len, "\"ok\":\"subscribe\"")) {
        reader->answered = true;
    } else if (holds(line, len, "\"notice\":\"window_full\"")) {
        reader->full = true;
    } else if (holds(line, len, "\"error\":\"consumer_busy\"")) {
        reader->busy = true;
    } else if (holds(line, len, "\"error\"")) {
        wrong(reader, "an error", line, len);
    }
}

/* Without its newline. */
static void take_line(struct reader *reader, const char *line, size_t len)
{
    if (reader->kind == READER_SSE) {
        if (begins(line, len, "HTTP/1.1 ") && !begins(line, len, "HTTP/1.1 200 "))
            wrong(reader, "a refusal", line, len);
        reader->answered |= begins(line, len, "HTTP/1.1 200 ");
        if (!begins(line, len, "data: "))
            return;
        line += 6;
        len -= 6;
    }
    if (is_event(line, len))
        take_event(reader, line, len);
    else
        take_other(reader, line, len);
}

/* ---- reading ---- */

static void keep_part(struct reader *reader, const char *bytes, size_t n)
{
    if (reader->part_len + n > sizeof reader->part)
        wrong(reader, "a line without an end", reader->part, reader->part_len);
    memcpy(reader->part + reader->part_len, bytes, n);
    reader->part_len += n;
}

static void take_bytes(struct reader *reader, const char *bytes, size_t n)
{
    const char *end = bytes + n, *newline;

    for (; (newline = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL; bytes = newline + 1) {
        if (reader->part_len == 0) {
            take_line(reader, bytes, (size_t)(newline - bytes));
            continue;
        }
        keep_part(reader, bytes, (size_t)(newline - bytes));
        take_line(reader, reader->part, reader->part_len);
        reader->part_len = 0;
    }
    keep_part(reader, bytes, (size_t)(end - bytes));
}

bool reader_read(struct reader *reader, size_t most)
{
    static char bytes[READER_CHUNK_BYTES];
    ssize_t n = recv(reader->fd, bytes, most < sizeof bytes ? most : sizeof bytes, 0);

    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0)
        return false;
    reader->arrived_ns = now_ns();
    reader->bytes += (uint64_t)n;
    take_bytes(reader, bytes, (size_t)n);
    return true;
}

/* ---- coming and going ---- */

/* What is asked for is short, and the socket is new or has been read: it fits. */
static void ask(struct reader *reader, const char *text, int len)
{
    if (send(reader->fd, text, (size_t)len, MSG_NOSIGNAL) != len && errno != EPIPE &&
        errno != ECONNRESET)
        die("reader %u: send: %s", reader->slot, strerror(errno));
}

static void ask_events(struct reader *reader, const char *from)
{
    char text[256];
    int len = from == NULL
                  ? snprintf(text, sizeof text,
                             "GET /events?notices=no&from=%" PRIu64 " HTTP/1.1\r\nHost: a\r\n\r\n",
                             reader->seq)
                  : snprintf(text, sizeof text,
                             "GET /events?notices=no&from=%s HTTP/1.1\r\nHost: a\r\n\r\n", from);

    ask(reader, text, len);
}

static void ask_lines(struct reader *reader, const struct reader_place *place)
{
    char text[256], from[64], name[96] = "";
    bool word = place->from != NULL && (*place->from < '0' || *place->from > '9');
    int len;

    if (place->from == NULL)
        snprintf(from, sizeof from, "%" PRIu64, reader->seq);
    else
        snprintf(from, sizeof from, word ? "\"%s\"" : "%s", place->from);
    if (reader->kind == READER_NAMED)
        snprintf(name, sizeof name, ",\"consumer\":\"c%u\",\"window\":%u,\"takeover\":%s",
                 reader->slot, place->window, place->takeover ? "true" : "false");
    len = snprintf(text, sizeof text, "{\"op\":\"subscribe\",\"notices\":false,\"from\":%s%s}\n",
                   from, name);
    ask(reader, text, len);
}

/* What the first event may be. */
static void expect(struct reader *reader, const struct reader_place *place)
{
    reader->least = reader->most = 0;
    if (reader->kind == READER_NAMED && reader->confirmed != 0) {
        reader->least = reader->confirmed + 1;
        reader->most = reader->asked + 1;
    } else if (place->from == NULL && reader->number != 0) {
        reader->least = reader->most = reader->number + 1;
    }
}

void reader_open(struct reader *reader, enum reader_kind kind, const struct reader_place *place)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(place->path) >= sizeof address.sun_path)
        die("%s: longer than the path of a socket can be", place->path);
    memcpy(address.sun_path, place->path, strlen(place->path));
    reader->kind = kind;
    reader->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (reader->fd < 0 || connect(reader->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("%s: %s", place->path, strerror(errno));
    fcntl(reader->fd, F_SETFL, O_NONBLOCK);
    reader->answered = kind == READER_FEED;
    reader->begun = reader->busy = reader->gap = reader->full = false;
    reader->part_len = 0;
    expect(reader, place);
    switch (kind) {
    case READER_NDJSON:
    case READER_NAMED:
        ask_lines(reader, place);
        break;
    case READER_FEED:
        break;
    case READER_SSE:
        ask_events(reader, place->from);
        break;
    }
}

void reader_ack(struct reader *reader, bool answer)
{
    char text[128], id[32] = "";
    int len;

    if (!reader->begun || reader->number <= reader->asked)
        return;
    if (answer)
        snprintf(id, sizeof id, ",\"id\":%" PRIu64, reader->number);
    len = snprintf(text, sizeof text, "{\"op\":\"ack\",\"seq\":%" PRIu64 "%s}\n", reader->seq, id);
    ask(reader, text, len);
    reader->asked = reader->number;
    reader->full = false;
}

void reader_close(struct reader *reader)
{
    close(reader->fd);
    reader->fd = -1;
}
