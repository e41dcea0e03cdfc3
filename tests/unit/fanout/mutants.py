#!/usr/bin/python3
"""Shows that the random test of named consumers sees what it claims to see.

    tests/unit/fanout/mutants.py [NAME...]      all, or those whose names contain one of these
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))

from hawser_test import mutants  # noqa: E402

# name: file, what stands there, what the mutant has
MUTANTS = {
    "the cursor passes what was sent": (
        "consumer.c", "limit = first_unacked(consumer) - 1;", "limit = first_unacked(consumer);"),
    "the cursor rests where it was acknowledged": (
        "consumer.c", "        lag_forget(consumer, seq, acked);\n    }\n    follow(consumer);",
        "        lag_forget(consumer, seq, acked);\n    }"),
    "the cursor passes a gap that nobody has read": (
        "consumer.c", "    if (consumer->gap.told && consumer->gap.cursor < limit)",
        "    if (false && consumer->gap.cursor < limit)"),
    "a gap is acknowledged with what came before it": (
        "consumer.c", "if (acked > consumer->gap.before ||", "if (acked >= consumer->gap.before ||"),
    "a gap is never acknowledged with what follows": (
        "consumer.c", "if (acked > consumer->gap.before ||", "if (false ||"),
    "what a gap hides can be acknowledged": (
        "consumer.c", "return consumer->sent_seq < consumer->passed ? consumer->sent_seq : consumer->passed;",
        "return consumer->sent_seq;"),
    "acknowledged though it was not sent": (
        "consumer.c", "if (seq > consumer_acknowledgeable(consumer))", "if (seq > consumer->passed + 1)"),
    "a window of one more": ("sub.c", "if (room == 0 && fanout_is_stored(entry->kind))",
                             "if (room == UINT32_MAX && fanout_is_stored(entry->kind))"),
    "an older acknowledgement sets the cursor back": (
        "consumer.c", "    if (seq > consumer->cursor) {\n        consumer->cursor = seq;",
        "    if (seq > 0) {\n        consumer->cursor = seq;"),
    "a loss is forgotten": ("consumer.c", "    consumer->cursor = consumer->stored;\n    if", "    if"),
    "after a loss it creeps on": ("consumer.c", "        consumer->gap.cursor = consumer->stored;",
                                  "        consumer->gap.cursor = consumer->cursor;"),
    "saved is what is there then, not what was sent to the disk": (
        "consumer.c", "consumer->stored = consumer->saving_cursor;",
        "consumer->stored = consumer->saving_cursor - (consumer->saving_cursor > 0);"),
    "what was acknowledged waits on": (
        "consumer.c", "        consumer->lag.events -= acked;", "        ;"),
    "what retention took waits on": (
        "consumer.c", "(trimmed_seq <= consumer->cursor || trimmed_sum == consumer->lag.trimmed_sum);",
        "true;"),
    "what was gone when it was counted is taken off": (
        "consumer.c", "if (first_unacked(consumer) <= consumer->lag.trimmed_seq)", "if (false)"),
    "the first of a filter counts for all": (
        "tally.c", "        row->events = row->same->matched;\n", "        row->events = 0;\n"),
    "every filter is the same": (
        "tally.c", "!fanout_filter_eq(same->filter, row->filter)", "false"),
    "a whole batch is not told to the consumer": (
        "sub.c", "if (whole && sub->consumer == NULL) {", "if (whole) {"),
    "what passes at the end of a batch is not told": (
        "sub.c", "    if (sub->consumer != NULL)\n        consumer_pass(sub->consumer, sub->cursor);\n}\n\n/* False",
        "}\n\n/* False"),
}

if __name__ == "__main__":
    sys.exit(mutants.main("fanout", "test_consumer_random.c", MUTANTS))
