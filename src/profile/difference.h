/*
 * difference: what leads from one configuration to another, as data.
 *
 * Decides: what a changed key leads to: one table has a row for each key. Which streams and
 * listeners go on untouched, which are changed where they stand, and which begin anew; what cannot
 * be changed while hawserd runs.
 * Leaves: doing it, to daemon/reload.
 * Fails: what cannot be is an error in the diag, with file and line; then nothing of it is to be
 * done.
 */
#ifndef HAWSER_PROFILE_DIFFERENCE_H
#define HAWSER_PROFILE_DIFFERENCE_H

#include "base/limits.h"
#include "profile/configuration.h"

/* What a changed key leads to. */
enum {
    DIFFERENCE_ANEW = 1 << 0,      /* of a stream: it ends and begins again */
    DIFFERENCE_RETENTION = 1 << 1, /* of a stream: the store is told */
    DIFFERENCE_TAGS = 1 << 2,      /* of a stream: on the events from now on */
    DIFFERENCE_LOG = 1 << 3,
    DIFFERENCE_DIALS = 1 << 4,  /* the broker is told */
    DIFFERENCE_STORE = 1 << 5,  /* the store and the hub are told */
    DIFFERENCE_SOCKET = 1 << 6, /* of a listener: another address, see .socket_of */
    DIFFERENCE_FILE = 1 << 7,   /* of a listener: its file's group and mode */
    DIFFERENCE_USERS = 1 << 8,  /* of a listener: some clients may have to go */
    DIFFERENCE_GUESTS = 1 << 9, /* of a listener: all clients have to go */
    DIFFERENCE_AUTH = 1 << 10,  /* of a listener: another token */
    DIFFERENCE_VIEW = 1 << 11,  /* of a listener: its streams are others */
    DIFFERENCE_READ = 1 << 12,  /* counts where it is read, and needs nothing else */
    DIFFERENCE_NEVER = 1 << 13, /* hawserd has to be restarted */
};

struct difference_stream {
    int old;       /* its number in the old configuration, -1: it is added */
    unsigned what; /* 0: it goes on untouched */
};

struct difference_listen {
    int old;       /* whose clients are its own, -1: it has none */
    int socket_of; /* the old listener whose socket is its own, -1: it needs a new one */
    unsigned what;
};

struct difference {
    unsigned what;                                     /* of [daemon] and [store] */
    struct difference_stream streams[LIMIT_STREAMS];   /* of the new configuration */
    struct difference_listen listens[LIMIT_LISTENERS]; /* the same */
    bool stream_gone[LIMIT_STREAMS];                   /* of the old one: it is removed */
    bool listen_gone[LIMIT_LISTENERS];                 /* its clients go */
    bool socket_gone[LIMIT_LISTENERS];
    char **texts; /* for people: "stream chat: begins anew (host)"; NULL-terminated */
    size_t n_texts;
};

struct difference_limits {
    bool state_dir_given, runtime_dir_given; /* by the environment: the keys do not count */
    uint64_t max_message;                    /* the largest that there is memory for */
};

/* What leads from `old`, which is in use, to `new`. 0; ERR_INVAL: the diag of `new` says what
 * cannot be changed; ERR_NOMEM. difference_fini() in any case. */
int difference_make(const struct configuration *old, const struct configuration *new,
                    const struct difference_limits *limits, struct difference *out);
void difference_fini(struct difference *difference);
bool difference_is_empty(const struct difference *difference);

/* What a change of that key leads to, 0: the table has no row for it. */
unsigned difference_effect(const char *section, const char *key);

#endif
