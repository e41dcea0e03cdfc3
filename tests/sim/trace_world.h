/* trace_world: what the files of the trace tool share. */
#ifndef HAWSER_TESTS_SIM_TRACE_WORLD_H
#define HAWSER_TESTS_SIM_TRACE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "config/settings.h"
#include "profile/profile.h"
#include "session/session.h"

#define LINE_MAX_BYTES 512
#define WORDS_MAX 12
#define SETS_MAX 16

struct world {
    const char *path;
    unsigned line;
    struct buf *out;

    char profile_name[64];
    char set_text[SETS_MAX][2][128];
    struct ini_entry sets[SETS_MAX];
    unsigned n_sets;
    struct profile *profile;
    uint64_t seed;
    bool has_position, lived, pongs, started;
    bool rtt_reconnects, learn_tip;
    struct trait {
        const char *name;
        int64_t value;
    } traits[SETS_MAX];
    unsigned n_traits;
    struct profile_send sends[PROFILE_SENDS_MAX];
    char send_names[PROFILE_SENDS_MAX][32];
    unsigned n_sends;
    bool manual_slots, slot_asked; /* a slot comes at once unless the script grants it */
    bool show_saves, show_beats, show_doubts;
    unsigned pong_rtt_ms; /* of the pongs that come by themselves; 0: they tell nothing */
    bool pong_due, ack_due, follows_due;
    struct session_saved saved; /* as an executor has it on disk */
    bool has_saved;
    int64_t saved_ms;

    struct session session;
    struct session_actions actions;
    int64_t now_ms, rx_ms;
    uint64_t link, request;
};

struct words {
    char text[LINE_MAX_BYTES];
    char *at[WORDS_MAX];
    unsigned count;
};

void die(const struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* ---- trace_words.c ---- */
/* Splits at blanks; "..." is one word, without its quotes. */
void words_split(const struct world *w, const char *line, struct words *words);
int64_t words_number(const struct world *w, const char *text);
/* The value of the word NAME=VALUE, or NULL; marks it as used. */
const char *take(struct words *words, const char *name);
int64_t take_number(struct world *w, struct words *words, const char *name, int64_t other);
bool take_flag(struct words *words, const char *name);
/* The next word that is left, or NULL. */
const char *take_next(struct words *words);

/* END of the language: see trace_script.h. */
void parse_end(struct world *w, struct words *words, struct profile_end *end);
void parse_text(struct words *words, struct profile_end *end);

/* ---- trace_profile.c ---- */
void trace_load_profile(struct world *w);
/* trait NAME VALUE: a field of the compiled profile. */
void trace_add_trait(struct world *w, const char *name, int64_t value);
/* send NAME TIMEOUT: one more [send NAME] that awaits an answer. */
void trace_add_send(struct world *w, const char *name, int64_t timeout_ms);

#endif
