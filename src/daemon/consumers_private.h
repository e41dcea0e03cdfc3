/* consumers_private: what the files of consumers share; nobody else includes it. */
#ifndef HAWSER_DAEMON_CONSUMERS_PRIVATE_H
#define HAWSER_DAEMON_CONSUMERS_PRIVATE_H

#include "daemon/clock_step.h"
#include "daemon/consumers.h"
#include "fanout/saved.h"
#include "fanout/tally.h"

/* What somebody subscribed to. Never changed, so the reader's thread may match with it; counted on
 * the loop's thread. */
struct consumers_filter {
    unsigned refs;
    struct fanout_filter filter;
    char text[]; /* of the types */
};

/* A connection's place at a consumer. */
struct seat {
    struct buf ids; /* of the acknowledgements that wait, one behind the other */
    struct {
        uint64_t change;
        uint16_t id_len;
    } acks[CONSUMERS_ACKS_MAX]; /* in a circle */
    unsigned first, count;
    uint64_t seqs[]; /* the window */
};

struct named {
    struct list_node node; /* in `due` or `flying`, or in none */
    char name[LIMIT_CONSUMER_NAME + 1];
    uid_t uid;
    struct consumer consumer;
    struct consumers_filter *filter;
    int64_t seen_us;
    struct client *client; /* whose it is now; NULL: nobody's */
    struct seat *seat;     /* NULL: not before it is on disk */
    uint64_t ticket;       /* of the save under way */
    bool on_disk;          /* in some form */
    bool stale;            /* what is on disk is right, but for uid, filter or time */
    bool forgotten;        /* goes when the disk has forgotten it too */
    bool lost;             /* while a loss is told */
};

/* One count of what waits for whom. */
struct count {
    struct persist_read read;
    struct fanout_filter streams; /* that anyone wants */
    struct tally tally;
    struct tally_row *rows;
    struct count_of {
        struct consumers_filter *filter;
        char name[LIMIT_CONSUMER_NAME + 1];
        uint64_t cursor, events; /* events: known already */
        uint64_t trimmed_seq, trimmed_sum;
        struct tally_row *row; /* NULL: nothing is to be added */
    } * of;
    size_t n;
    uint64_t to_seq;
    bool done;              /* and is being told */
    bool running, counting; /* counting: retention's marks are known, events are read */
};

struct consumers {
    struct daemon *daemon;
    struct named *all[LIMIT_CONSUMERS]; /* by name */
    size_t n;
    struct list_node due, flying;              /* flying: by ticket */
    struct list_node waiting;                  /* clients */
    struct list_node evicted;                  /* clients */
    struct list_node listing, asked;           /* clients: in the count that runs; in the next */
    struct list_node lags_listing, lags_asked; /* struct consumers_wait, the same */
    struct io_timer *scan_timer;
    struct clock_step clock;
    int64_t started_ms;
    bool blocked; /* the hub had no room */
    bool urgent;  /* of those due somebody waits for one */
    struct count count;
};

/* consumers.c */
struct named *consumers_find(const struct consumers *consumers, struct slice name);
struct named *consumers_add(struct consumers *consumers, struct slice name);
void consumers_remove(struct consumers *consumers, struct named *named);
struct consumers_filter *consumers_filter_new(const struct fanout_filter *filter);
void consumers_filter_free(struct consumers_filter *filter); /* once a reference; NULL is allowed */
void consumers_wait(struct client *client, struct list_node *list);
/* Answers the acknowledgements that are on disk, or all, if lost. */
void consumers_answer(struct named *named, bool lost);

/* consumers_disk.c */
void consumers_save(struct consumers *consumers, struct named *named); /* soon */
void consumers_scan_on(void *arg);

/* consumers_list.c */
void consumers_count_free(struct consumers *consumers);

#endif
