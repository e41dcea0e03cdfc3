#!/usr/bin/python3
"""Shows that the random test of the broker sees what it claims to see.

Each mutant is a deliberate bug: a few words of src/broker replaced in a copy. With it the random test
must fail; one that survives, or whose words are no longer in the source just once, fails this test.

    tests/unit/broker/mutants.py [NAME...]      all, or those whose names contain one of these
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


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, **options)


def compile_all(sources, into, include):
    done = run([CC, *FLAGS, *[f"-I{path}" for path in include], "-c", *map(str, sources)], cwd=into)
    if done.returncode != 0:
        sys.exit(f"the build failed:\n{done.stdout[-3000:]}")


class Tree:
    """A copy of src/broker, and what does not change compiled once."""

    def __init__(self, directory):
        self.src = Path(directory) / "src"
        self.common, self.own = Path(directory) / "common", Path(directory) / "own"
        self.common.mkdir()
        self.own.mkdir()
        shutil.copytree(ROOT / "src/broker", self.src / "broker")
        self.include = [self.src, ROOT / "src"]
        compile_all((ROOT / "src/base").glob("*.c"), self.common, self.include)
        compile_all((self.src / "broker").glob("*.c"), self.own, self.include)
        compile_all([ROOT / "tests/unit/broker/test_random.c"], self.own, self.include)

    def test(self):
        exe = self.own / "test"
        done = run([CC, "-o", exe, *self.own.glob("*.o"), *self.common.glob("*.o"), "-lcmocka",
                    "-lpthread"])
        if done.returncode != 0:
            sys.exit(f"the build failed:\n{done.stdout[-3000:]}")
        return run([exe], timeout=60)

    def judge(self, name, old, new):
        """What the random test says of the mutant."""
        path = self.src / "broker" / name
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
    with tempfile.TemporaryDirectory(prefix="hawser-broker-mutants-") as directory:
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
