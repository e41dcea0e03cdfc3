/*
 * reader: one local program on one of hawserd's sockets, and what it must see.
 *
 * Decides: that each event comes once and in order. The numbers of the events (bench/bench.h) go up
 * by one, where no gap was told; a reader that comes back is given what follows what it had read to
 * the end, one with a name what follows its cursor: not before what was acknowledged and answered,
 * not behind what was acknowledged at all. Leaves: which readers there are, when they read, come
 * and go. Fails: by ending the program, with what came and what should have.
 */
#ifndef HAWSER_SOAK_READER_H
#define HAWSER_SOAK_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum reader_kind { READER_NDJSON, READER_NAMED, READER_FEED, READER_SSE };

enum {
    READER_LINE_MAX = 4096,
    READER_CHUNK_BYTES = 256 << 10, /* read at once, at most */
};

struct reader {
    enum reader_kind kind;
    unsigned slot;              /* which it is among the others, for its name and for messages */
    int fd;                     /* -1: it is away */
    bool answered;              /* what it asked for was granted */
    bool begun;                 /* an event has come on this connection */
    bool busy;                  /* another connection has its consumer: it is to come back later */
    char part[READER_LINE_MAX]; /* a line that is not complete yet */
    size_t part_len;
    size_t mark_at; /* where in the last line the event's number stood */

    uint64_t seq, number; /* the newest event; 0: none */
    uint64_t least, most; /* the next one's number lies between, unless a gap is told; 0: any */
    bool gap;             /* was told since the newest event */

    /* With a name: numbers of events that were acknowledged, and that the answer has come for. */
    uint64_t asked, confirmed;
    bool full; /* nothing comes until it acknowledges */

    uint64_t events, bytes, gaps, acks;
    int64_t arrived_ns; /* when the bytes that are being looked at were read */
    void (*on_event)(struct reader *reader, uint64_t made_ns); /* NULL: nobody wants to know */
};

struct reader_place {
    const char *path;
    const char *from; /* now, oldest, a seq or, with a name, cursor; NULL: behind what was read */
    unsigned window;  /* of one with a name */
    bool takeover;
};

/* Connects, which waits while the backlog is full, and asks. */
void reader_open(struct reader *reader, enum reader_kind kind, const struct reader_place *place);
/* Reads what is there, at most so many bytes. False: hawserd has closed the connection. */
bool reader_read(struct reader *reader, size_t most);
/* Of one with a name: all it has read. The answer confirms it. */
void reader_ack(struct reader *reader, bool answer);
/* Goes, wherever in a line it may be. */
void reader_close(struct reader *reader);
const char *reader_kind_name(enum reader_kind kind);

#endif
