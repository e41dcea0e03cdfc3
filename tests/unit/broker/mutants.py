#!/usr/bin/python3
"""Shows that the random test of the broker sees what it claims to see.

    tests/unit/broker/mutants.py [NAME...]      all, or those whose names contain one of these
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))

from hawser_test import mutants  # noqa: E402

# name: file, what stands there, what the mutant has
MUTANTS = {
    "granted before it is saved": (
        "run.c", "scope != NULL && scope->persists ? &broker->saving : &broker->ready",
        "scope == NULL ? &broker->ready : &broker->ready"),
    "granted as soon as anything is saved": (
        "run.c", "slot->ticket == 0 || slot->ticket > ticket", "slot->ticket == 0"),
    "what is granted is not in what is saved": (
        "scope.c", "put16(out + 10, scope->dialing)", "put16(out + 10, 0)"),
    "what was under way at a crash does not count": (
        "scope.c", "rate_add(&connects, get16(bytes + 10), over_ms);", ";"),
    "sessions that were under way at a crash do not count": (
        "scope.c", "rate_add(&sessions, get16(bytes + 12), over_ms);", ";"),
    "saved marks are older than they were": (
        "scope.c", "int64_t saved_ms = now_ms - ago_ms;", "int64_t saved_ms = now_ms - 2 * ago_ms;"),
    "a connect counts from when it was asked for": (
        "broker.c", "rate_add(&client->scope->connects, 1, client->broker->now_ms);",
        "rate_add(&client->scope->connects, 1, slot->asked_ms);"),
    "a handshake under way does not count": (
        "run.c", "&profile->limits.connects, scope->dialing,", "&profile->limits.connects, 0,"),
    "a session that may come does not count": (
        "run.c", "&profile->limits.sessions, scope->reserved,", "&profile->limits.sessions, 0,"),
    "one link more": ("run.c", "scope->open >= profile->limits.links",
                      "scope->open > profile->limits.links"),
    "one handshake more": ("run.c", "client->host->dialing >= broker->dial_per_host",
                           "client->host->dialing > broker->dial_per_host"),
    "no dial rate": ("run.c", "bucket_when_ms(&broker->dial_rate, ahead + 1)", "broker->now_ms"),
    "who came last comes first": ("broker.c", "list_push_back(&broker->waiting, &slot->node);",
                                  "list_push_back(broker->waiting.next, &slot->node);"),
    "one connect more": ("rate.c", "if (count >= room)", "if (count > room)"),
    "a period is shorter": ("rate.c", "return log->marks[i - 1].at_ms + limit->period_ms;",
                            "return log->marks[i - 1].at_ms + limit->period_ms / 2;"),
    "marks that become one take the older time": (
        "rate.c", "marks[at + 1].from_ms = marks[at].from_ms;",
        "marks[at + 1].at_ms = marks[at].at_ms;"),
    "what was dropped counts on": ("broker.c", "client->scope->dialing--;\n    client->scope->dirty",
                                   "client->scope->dirty"),
}

if __name__ == "__main__":
    sys.exit(mutants.main("broker", "test_random.c", MUTANTS))
