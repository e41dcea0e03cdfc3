#include "coverage.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t counts[COVER_COUNT];
static uint64_t transitions[SESSION_STATE_COUNT][SESSION_STATE_COUNT];

static const char *const names[] = {
#define X(id, text) text,
    COVERAGE(X)
#undef X
};

#define BIT(state) (1u << SESSION_##state)

/* What a run of the default size meets several times. The rest of what the session's own table
 * allows happens too, but too rarely to be asked for, or needs another profile. */
static const unsigned expected[SESSION_STATE_COUNT] = {
    [SESSION_STARTING] = BIT(DIALING),
    [SESSION_DIALING] = BIT(OPENING) | BIT(WAITING) | BIT(HELD),
    [SESSION_OPENING] = BIT(GREETING) | BIT(LIVE) | BIT(WAITING) | BIT(HELD) | BIT(PAUSED),
    [SESSION_GREETING] = BIT(CATCHING_UP) | BIT(LIVE) | BIT(WAITING) | BIT(HELD) | BIT(PARKED),
    [SESSION_CATCHING_UP] = BIT(CATCHING_UP) | BIT(LIVE) | BIT(POLLING) | BIT(WAITING) | BIT(HELD) |
                            BIT(STALLED) | BIT(PAUSED) | BIT(STOPPED),
    [SESSION_LIVE] = BIT(WAITING) | BIT(HELD) | BIT(STALLED) | BIT(PAUSED) | BIT(STOPPED),
    [SESSION_POLLING] = BIT(CATCHING_UP) | BIT(POLLING) | BIT(WAITING),
    [SESSION_WAITING] = BIT(DIALING) | BIT(STOPPED),
    [SESSION_HELD] = BIT(DIALING) | BIT(PAUSED) | BIT(STOPPED),
    [SESSION_PARKED] = BIT(DIALING),
    [SESSION_STALLED] = BIT(WAITING),
    [SESSION_PAUSED] = BIT(WAITING) | BIT(STOPPED),
};

void cover(enum coverage what)
{
    counts[what]++;
}

void cover_transition(enum session_state from, enum session_state to)
{
    transitions[from][to]++;
}

static unsigned states_met(void)
{
    unsigned met = 0;
    for (unsigned to = 0; to < SESSION_STATE_COUNT; to++) {
        uint64_t n = to == SESSION_STARTING;
        for (unsigned from = 0; from < SESSION_STATE_COUNT; from++)
            n += transitions[from][to];
        met += n > 0;
    }
    return met;
}

static void print_table(void)
{
    for (unsigned i = 0; i < COVER_COUNT; i++)
        printf("%12" PRIu64 "  %s\n", counts[i], names[i]);
    for (unsigned from = 0; from < SESSION_STATE_COUNT; from++)
        for (unsigned to = 0; to < SESSION_STATE_COUNT; to++)
            if (transitions[from][to] > 0 || expected[from] >> to & 1)
                printf("%12" PRIu64 "  %s > %s\n", transitions[from][to],
                       session_state_name((enum session_state)from),
                       session_state_name((enum session_state)to));
}

void coverage_print(bool in_detail)
{
    unsigned met = 0, moved = 0, asked = 0, besides = 0;
    for (unsigned i = 0; i < COVER_COUNT; i++)
        met += counts[i] > 0;
    for (unsigned from = 0; from < SESSION_STATE_COUNT; from++)
        for (unsigned to = 0; to < SESSION_STATE_COUNT; to++) {
            moved += (expected[from] >> to & 1) && transitions[from][to] > 0;
            asked += expected[from] >> to & 1;
            besides += !(expected[from] >> to & 1) && transitions[from][to] > 0;
        }
    if (in_detail)
        print_table();
    printf("coverage: %u of %d states, %u of %u transitions, and %u besides, %u of %d happenings\n",
           states_met(), SESSION_STATE_COUNT, moved, asked, besides, met, COVER_COUNT);
}

bool coverage_complete(void)
{
    bool complete = true;
    for (unsigned i = 0; i < COVER_COUNT; i++)
        if (counts[i] == 0) {
            printf("never happened: %s\n", names[i]);
            complete = false;
        }
    for (unsigned from = 0; from < SESSION_STATE_COUNT; from++)
        for (unsigned to = 0; to < SESSION_STATE_COUNT; to++)
            if (transitions[from][to] == 0 && (expected[from] >> to & 1)) {
                printf("never happened: %s > %s\n", session_state_name((enum session_state)from),
                       session_state_name((enum session_state)to));
                complete = false;
            }
    return complete;
}
