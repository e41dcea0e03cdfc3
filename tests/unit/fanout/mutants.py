#!/usr/bin/python3
"""Shows that the random test of named consumers sees what it claims to see.

Each mutant is a deliberate bug: a few words of src/fanout replaced in a copy. With it the random test
must fail; one that survives, or whose words are no longer in the source just once, fails this test.

    tests/unit/fanout/mutants.py [NAME...]      all, or those whose names contain one of these
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CC = os.environ.get("CC", "cc")
FLAGS = ["-std=gnu11", "-O1", "-D_GNU_SOURCE", "-w"]

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


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, **options)


def compile_all(sources, into, include):
    done = run([CC, *FLAGS, *[f"-I{path}" for path in include], "-c", *map(str, sources)], cwd=into)
    if done.returncode != 0:
        sys.exit(f"the build failed:\n{done.stdout[-3000:]}")


class Tree:
    """A copy of src/fanout, and what does not change compiled once."""

    def __init__(self, directory):
        self.src = Path(directory) / "src"
        self.common, self.own = Path(directory) / "common", Path(directory) / "own"
        self.common.mkdir()
        self.own.mkdir()
        shutil.copytree(ROOT / "src/fanout", self.src / "fanout")
        self.include = [self.src, ROOT / "src", ROOT / "tests"]
        compile_all((ROOT / "src/base").glob("*.c"), self.common, self.include)
        compile_all((self.src / "fanout").glob("*.c"), self.own, self.include)
        compile_all([ROOT / "tests/unit/fanout/test_consumer_random.c"], self.own, self.include)

    def test(self):
        exe = self.own / "test"
        done = run([CC, "-o", exe, *self.own.glob("*.o"), *self.common.glob("*.o"), "-lcmocka",
                    "-lpthread"])
        if done.returncode != 0:
            sys.exit(f"the build failed:\n{done.stdout[-3000:]}")
        return run([exe], timeout=60)

    def judge(self, name, old, new):
        """What the random test says of the mutant."""
        path = self.src / "fanout" / name
        text = path.read_text()
        if text.count(old) != 1:
            sys.exit(f"{name}: stands there {text.count(old)} times, wanted once:\n{old}")
        path.write_text(text.replace(old, new))
        compile_all([path], self.own, self.include)
        try:
            return self.test()
        finally:
            path.write_text(text)
            compile_all([path], self.own, self.include)


def main():
    wanted = [name for name in MUTANTS
              if not sys.argv[1:] or any(part in name for part in sys.argv[1:])]
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="hawser-consumer-mutants-") as directory:
        tree = Tree(directory)
        sane = tree.test()
        if sane.returncode != 0:
            sys.exit(f"without a mutant, too:\n{sane.stdout}")
        for name in wanted:
            done = tree.judge(*MUTANTS[name])
            said = [line for line in done.stdout.splitlines() if "seed" in line]
            survivors += done.returncode == 0
            print(f"{'killed' if done.returncode else 'NOT KILLED'}: {name}\n    "
                  f"{said[0] if said else ''}", flush=True)
    print(f"{len(wanted) - survivors} of {len(wanted)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
