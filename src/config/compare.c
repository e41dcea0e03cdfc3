/* What differs between two configurations, key by key, and where a key stands. */
#include <string.h>

#include "config/keys.h"

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_list(const char *const *a, const char *const *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    while (*a != NULL && *b != NULL && strcmp(*a, *b) == 0)
        a++, b++;
    return *a == NULL && *b == NULL;
}

static bool same_pins(const uint8_t (*a)[SETTINGS_PIN_SIZE], size_t n_a,
                      const uint8_t (*b)[SETTINGS_PIN_SIZE], size_t n_b)
{
    return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a * SETTINGS_PIN_SIZE) == 0);
}

/* Two members of the same type, at the same place of two structs. */
#define SAME(type, offset) (*(const type *)(a + (offset)) == *(const type *)(b + (offset)))
#define AT(type, section, offset) (*(const type *)((section) + (offset)))

static bool same_value(const struct key *key, const char *a, const char *b)
{
    switch (key->type) {
    case KEY_TEXT:
    case KEY_NAME:
    case KEY_PATH:
    case KEY_SOCKET_PATH:
    case KEY_PROXY:
    case KEY_SECRET:
        return same_text(AT(char *, a, key->offset), AT(char *, b, key->offset));
    case KEY_LIST:
        return same_list(AT(char **, a, key->offset), AT(char **, b, key->offset));
    case KEY_BOOL:
    case KEY_FLAG:
        return SAME(bool, key->offset);
    case KEY_LOG_LEVEL: /* where it may be left out, one that is does not count */
        if (key->also != 0 && (!SAME(bool, key->also) || !AT(bool, a, key->also)))
            return SAME(bool, key->also);
        return SAME(enum log_level, key->offset);
    case KEY_START:
        return SAME(enum settings_start, key->offset) &&
               same_text(AT(char *, a, key->also), AT(char *, b, key->also));
    case KEY_CHOICE:
    case KEY_COUNT:
    case KEY_PERCENT:
    case KEY_MODE:
        return SAME(unsigned, key->offset);
    case KEY_DURATION:
    case KEY_NEVER:
        return SAME(int64_t, key->offset);
    case KEY_SIZE:
        return SAME(uint64_t, key->offset);
    case KEY_PINS:
        return same_pins(AT(void *, a, key->offset), AT(size_t, a, key->also),
                         AT(void *, b, key->offset), AT(size_t, b, key->also));
    case KEY_RATE:
        return SAME(unsigned, key->offset) && SAME(int64_t, key->also);
    }
    return false;
}

void settings_compare(const char *section, const void *a, const void *b,
                      void (*visit)(void *arg, const char *key), void *arg)
{
    const struct key_section *keys = keys_section(section);
    for (size_t i = 0; keys != NULL && i < keys->n_keys; i++)
        if (!same_value(&keys->keys[i], a, b))
            visit(arg, keys->keys[i].name);
}

static bool matches(const struct ini_entry *entry, const char *section, const char *name,
                    const char *key)
{
    return entry->key != NULL && strcmp(entry->section, section) == 0 &&
           strcmp(entry->name, name) == 0 && strcmp(entry->key, key) == 0;
}

const struct ini_entry *settings_entry(const struct settings *settings, const char *section,
                                       const char *name, const char *key)
{
    const struct ini *ini = settings_ini(settings);
    for (size_t i = ini_count(ini); i > 0; i--) /* the last one counts */
        if (matches(ini_get(ini, i - 1), section, name, key))
            return ini_get(ini, i - 1);
    return NULL;
}
