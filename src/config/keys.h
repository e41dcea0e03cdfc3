/*
 * keys: the table that declares each key of hawser.ini; for the files of this room only.
 *
 * Decides: name, type, bounds, default and meaning of each key, and where its value goes.
 * Leaves: how a value is read, to value.c; which sections there are, to settings.c.
 */
#ifndef HAWSER_CONFIG_KEYS_H
#define HAWSER_CONFIG_KEYS_H

#include "config/settings.h"

/* What a key's target is, and how its value is written. */
enum key_type {
    KEY_TEXT,        /* const char *, not empty */
    KEY_NAME,        /* const char *, as settings_is_name */
    KEY_PATH,        /* const char *, absolute; max: bytes */
    KEY_SOCKET_PATH, /* the same, short enough for a socket */
    KEY_LIST,        /* const char *const *, NULL-terminated */
    KEY_BOOL,        /* bool */
    KEY_CHOICE,      /* enum: the place among `words` */
    KEY_LOG_LEVEL,   /* enum log_level; `also`: bool, set */
    KEY_START,       /* enum settings_start; `also`: const char *, the position */
    KEY_DURATION,    /* int64_t, milliseconds within min..max */
    KEY_NEVER,       /* the same, or "never": -1 */
    KEY_SIZE,        /* uint64_t, bytes within min..max */
    KEY_COUNT,       /* unsigned, within min..max */
    KEY_PERCENT,     /* unsigned, within min..max */
    KEY_MODE,        /* unsigned, of file permissions */
    KEY_FLAG,        /* bool: whether it is the second of two `words` */
    KEY_PROXY,       /* const char *, a proxy_url without a password, or "none" */
    KEY_SECRET,      /* const char *, a secret_source, but no exec: */
    KEY_PINS,        /* const uint8_t (*)[SETTINGS_PIN_SIZE]; `also`: size_t, how many */
    KEY_RATE,        /* unsigned, within min..max; `also`: int64_t, the period in milliseconds */
};

enum { KEY_WORDS_MAX = 4 };

struct key {
    const char *name;
    enum key_type type;
    size_t offset; /* of the target in the section's struct */
    size_t also;   /* of the second target, 0 for none */
    const char *default_text;
    int64_t min, max;
    const char *words[KEY_WORDS_MAX]; /* of a KEY_CHOICE, NULL-terminated; of a KEY_FLAG */
    const char *help;
};

struct key_section {
    const char *name;
    bool named; /* [stream NAME], and any number of them */
    const struct key *keys;
    size_t n_keys;
};

enum section_id { SECTION_DAEMON, SECTION_STORE, SECTION_LISTEN, SECTION_STREAM, SECTION_COUNT };

extern const struct key_section key_sections[SECTION_COUNT];

/* NULL when there is none. */
const struct key_section *keys_section(const char *name);
const struct key *keys_find(const struct key_section *section, const char *name);
/* The key that a misspelt one was perhaps meant to be, or NULL. */
const char *keys_suggest(const struct key_section *section, struct slice word);
/* All entries that the settings were made of. */
const struct ini *settings_ini(const struct settings *settings);

/* Whether a line gives this key, well or ill: then it is not missing. See settings.c. */
bool keys_given(const struct settings *settings, const char *section, const char *name,
                const char *key);

#endif
