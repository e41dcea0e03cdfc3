/* A broker with clients that note what they are told, and a disk that takes saves when asked to. */
#ifndef TESTS_BROKER_RIG_H
#define TESTS_BROKER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/broker.h"

enum { RIG_CLIENTS = 64, RIG_KEYS = 16 };

struct rig_client {
    struct broker_client *broker;
    unsigned granted;
    unsigned laters;
    int64_t later_ms;
    char why[BROKER_TEXT];
};

/* One saved scope: what is on disk, and what is on its way there. */
struct rig_save {
    char key[64];
    uint8_t disk[BROKER_SAVED_MAX], flying[BROKER_SAVED_MAX];
    size_t disk_size, flying_size;
    int64_t disk_ms; /* when it was saved, by the wall clock, which is now_ms here */
};

struct rig {
    struct broker *broker;
    struct rig_client clients[RIG_CLIENTS];
    unsigned n;
    struct rig_save saves[RIG_KEYS];
    unsigned n_saves;
    uint64_t ticket;
    unsigned saved; /* how often */
    int64_t now_ms, deadline_ms;
    unsigned order[RIG_CLIENTS * 4]; /* of grants, by client */
    unsigned n_granted;
};

struct rig_options {
    struct profile_rate dial_rate;
    unsigned dial_per_host;
    uint64_t seed;
};

void rig_open(struct rig *rig, const struct rig_options *options);
/* With the next number; names are "a", "b", ... */
struct rig_client *rig_add(struct rig *rig, const struct profile *profile, const char *host,
                           const char *credential);
void rig_close(struct rig *rig);
void rig_ask(struct rig *rig, unsigned client);
void rig_run(struct rig *rig);
/* All that was saved is on disk. */
void rig_flush(struct rig *rig);
/* run, flush, run: until nothing more happens at this moment. */
void rig_settle(struct rig *rig);
void rig_at(struct rig *rig, int64_t now_ms);
/* The disk's contents, as of now, to a broker whose clients are there. */
void rig_restore(struct rig *rig);

#endif
