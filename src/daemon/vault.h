/*
 * vault: the credential of one account, shared by all streams that have the same sources, profile
 * and host.
 *
 * Decides, with vault_core: what each secret's value is now, when it is fetched anew, and who is
 * told. A value that a refresh has brought counts while the source is what it was then; a changed
 * source wins. One refresh at a time serves all.
 * Leaves: what a fresh or refused credential means for a stream, to its session.
 * Owns: the values (wiped), the copies for redaction, watches of the sources' files, and
 * STATE_DIR/credentials.
 * Fails: reading a secret with a text that names the source; all else comes through the events,
 * never inline.
 *
 *     vault_core.c   decisions, pure           vault.c       values, and what the core says
 *     vault_ask.c    programs, refresh         vault_life.c  making, joining, freeing
 *     what is on disk, and where: reach/vault_file.h, reach/vault_name.h
 */
#ifndef HAWSER_DAEMON_VAULT_H
#define HAWSER_DAEMON_VAULT_H

#include "base/list.h"
#include "net/net.h"
#include "profile/profile.h"
#include "reach/redact.h"

#define VAULT_EXEC_MS 10000 /* for a program of exec: */
#define VAULT_HTTP_MS 30000 /* for the answer to a refresh */
#define VAULT_LOOK_MS 60000 /* the longest time without a look at the clock */

struct vaults;
struct vault;

/* state_dir is borrowed. */
int vaults_new(struct io_loop *loop, const char *state_dir, struct vaults **out, struct error *err);
/* Waits for writes; users are to be gone. */
void vaults_free(struct vaults *vaults);
/* The machine has slept: what expires by the wall clock is looked at again. */
void vaults_slept(struct vaults *vaults);

struct vault_events {
    void (*on_ready)(void *arg); /* once: the first values are there, or cannot be had */
    /* A fresh value, or a source that changed; also the answer to vault_refresh(). */
    void (*on_fresh)(void *arg);
    void (*on_failed)(void *arg, const struct profile_end *end); /* the answer otherwise */
    /* There is a new value, because the one that this user has read last is about to expire. */
    void (*on_expiring)(void *arg);
    /* How to make a request of the service. */
    int (*options)(void *arg, struct slice url, struct net_options *out, struct error *err);
    /* What that request, of the profile's [http] section of this number, was made over. */
    void (*on_tls)(void *arg, unsigned http, const struct tls *tls);
};

struct vault_user {
    struct list_node node;
    struct vault *vault;
    const struct vault_events *events;
    void *arg;
    const char *stream; /* for the log */
    uint64_t used;      /* generation that it has read last, 0: none */
    uint64_t token;     /* hash of the token that it has read last, 0: none */
    bool ready, waiting, refused;
    bool tell_fresh, tell_failed, tell_expiring; /* on the next turn of the loop */
};

/* The vault for this stream, made or shared. on_ready follows. */
int vault_join(struct vaults *vaults, const struct profile *profile,
               const struct vault_events *events, void *arg, const char *stream,
               struct vault_user *user, struct error *err);
void vault_leave(struct vault_user *user);
/* A stream with this profile would share the user's vault. */
bool vault_shares(const struct vault_user *user, const struct profile *profile);

/* The value of secret NAME, valid until the next read or wipe; .ptr NULL if it is not configured or
 * (then err says why) cannot be had. */
struct slice vault_read(struct vault_user *user, const char *name, struct error *err);
/* Until the token expires, 0: it has; -1: nobody says when, or there is none. */
int64_t vault_expires_in_s(const struct vault_user *user);
void vault_wipe(struct vault_user *user);
/* Wants one that is fresher than what it has read last. Ends in on_fresh or on_failed. */
void vault_refresh(struct vault_user *user);
/* A value that a message or an answer gave to secret NAME. */
void vault_set(struct vault_user *user, const char *name, struct slice value);
/* A value that is none of the profile's secrets, to be redacted all the same. ERR_NOMEM: it must
 * not be used. */
int vault_learn(struct vault_user *user, struct slice value);
const struct redact *vault_redact(const struct vault_user *user);

#endif
