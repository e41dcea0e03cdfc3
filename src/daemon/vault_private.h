/* vault_private: what the files of vault share. Nobody else includes it. */
#ifndef HAWSER_DAEMON_VAULT_PRIVATE_H
#define HAWSER_DAEMON_VAULT_PRIVATE_H

#include "base/limits.h"
#include "daemon/vault.h"
#include "daemon/vault_core.h"
#include "reach/secrets.h"
#include "reach/vault_file.h"

struct vaults {
    struct io_loop *loop;
    struct io_worker *worker;
    const char *state_dir;
    struct list_node all;
};

struct vault_secret {
    const char *name, *source; /* source NULL: not configured */
    struct io_watch *watch;
    struct buf printed; /* exec: what the program said last */
    int exec_status;    /* of it; ERR_AGAIN: it has not run */
    struct error exec_err;
    uint64_t seen; /* hash of the source when last looked at; 0: it had nothing */
    int64_t seen_s;

    /* From a refresh. */
    bool rotated;
    struct buf value;
    uint64_t rotated_from; /* hash of the source then */
    int64_t obtained_s, expires_s;

    uint64_t asked_from; /* hash of the source when the refresh under way was sent */
    bool answered;       /* by that */
    struct buf answer;
};

struct vault {
    struct list_node node;
    struct vaults *vaults;
    struct profile *profile; /* of the first user's stream; all are alike */
    char *identity;
    char *path;
    struct list_node users;
    struct vault_core core;
    uint8_t salt[16];
    uint64_t generation; /* from 1 on */
    bool ready;
    struct io_timer *timer;
    struct io_idle *later;
    struct redact redact;
    struct buf scratch; /* a value that was read */
    int64_t expires_s;  /* of the token in use, unix time; -1: nobody says */

    struct vault_secret *secrets;
    size_t n_secrets;

    /* The refresh under way. */
    struct net_http *http;
    struct io_child *child;
    size_t asking;          /* the secret whose program runs */
    int64_t ttl_s;          /* that the answer named, -1: none */
    struct profile_end end; /* of the last one that failed */

    /* The write under way. */
    struct {
        struct io_job job;
        struct buf text;
        bool running, store;
        int rc;
        struct error err;
    } write;
};

void vault_free(struct vault *vault);
/* Its last write is done: nobody uses it any more, and it has been freed. */
bool vault_unused(struct vault *vault);
/* Does what the core has said. */
void vault_do(struct vault *vault, unsigned todo);
/* The value of secret number i into vault->scratch. */
int vault_value(struct vault *vault, size_t i, struct error *err);
/* Of what the source holds now, or of all sources where the secret has none. */
uint64_t vault_source_hash(struct vault *vault, const struct vault_secret *secret);
/* Of all sources but programs, which may say something else each time. */
uint64_t vault_sources_hash(struct vault *vault);
/* Looks at all sources, or at what programs have said; true if one is not what it was. */
bool vault_look(struct vault *vault, bool programs_only);
/* And tells, if so. */
void vault_look_again(struct vault *vault);
void vault_write_now(struct vault *vault);
void vault_lifetime(struct vault *vault);
const char *vault_stream(const struct vault *vault); /* for the log */
bool vault_has_programs(const struct vault *vault);
void vault_set_timer(struct vault *vault);
/* The secret whose lifetime counts, NULL: none. */
struct vault_secret *vault_token(struct vault *vault);

/* vault_ask.c: exactly one call of the core follows each. */
void vault_ask(struct vault *vault);
void vault_ask_cancel(struct vault *vault);
/* Runs the programs of exec: sources; then vault_programs_done(), perhaps inline. */
void vault_run_programs(struct vault *vault);
void vault_programs_done(struct vault *vault);

#endif
