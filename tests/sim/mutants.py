#!/usr/bin/python3
"""Shows that the random simulation sees what it claims to see.

Each mutant is a deliberate bug: a few words of src replaced in a copy of the tree. The copy is built,
sim_random runs on fixed seeds, and must find a broken promise: one of those that the mutant names
(the numbers are those of random/world.h). A mutant that survives, or whose words are no longer in
the source just once, fails the test.

    tests/sim/mutants.py [NAME...]      all of them, or only those named
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STEPS = 6_000_000

# name: the promises of which one is broken, then (file, what stands there, what the mutant has).
MUTANTS = {
    "duplicates are not recognised": ("23", [(
        "src/flow/flow.c", "return event->has_key && window_has(&flow->window, event->key);",
        "(void)flow, (void)event; return false;")]),
    "dedup keys are not loaded at a start": ("23", [(
        "src/flow/flow.c", "    window_add(&flow->window, key);\n    owed_pay(&flow->owed, key);",
        "    (void)flow, (void)key;")]),
    "a hold is no hold": ("123", [(
        "src/flow/flow.c", "    flow->mode = FLOW_MODE_HOLD;", "    flow->mode = FLOW_MODE_PASS;")]),
    "released before sync has reached the hold": ("123", [(
        "src/session/catchup.c",
        "if (sync->reached || (nothing_new && !waits && !promised)) {", "if (waits || true) {")]),
    "sync owes nothing for what was dropped": ("1", [(
        "src/flow/flow.c", "out->owed = owed_any(&flow->owed, &flow->position);",
        "out->owed = false;")]),
    "back-pressure loses the message": ("1", [(
        "src/engine/stream.c", "        stream->link_blocked = true;\n        return ERR_AGAIN;",
        "        return 0;")]),
    "the cursor of a page with items is used": ("13", [(
        "src/engine/execute.c", "if (action->use_next && stream->page.has_next)",
        "if (stream->page.has_next)")]),
    "a held event moves the position": ("7", [(
        "src/flow/flow.c", "    owed_note(&flow->owed, event);\n",
        "    position_set(&flow->position, event->position);\n")]),
    "a gap is not said when the position is forgotten": ("14", [(
        "src/session/session.c", "    session_do(out, SESSION_DO_FORGET);\n    session_gap(out, SESSION_GAP_EPOCH, why);",
        "    session_do(out, SESSION_DO_FORGET);")]),
    "events are delivered before they are on disk": ("5", [
        ("src/engine/hub.c", "if (!hub->received && (hub->flying ||", "if (false && (hub->flying ||"),
        ("src/engine/hub.c", "    if (hub->received)\n        publish_unstored(hub);\n    return 0;",
         "    publish_unstored(hub);\n    return 0;")]),
    "a consumer that comes from the store skips one": ("5", [(
        "src/fanout/sub.c", "        sub->next_index = find_after(fanout, sub->cursor);",
        "        sub->next_index = find_after(fanout, sub->cursor + 1);")]),
    "reserved seqs are used again": ("6", [(
        "src/engine/hub.c", "uint64_t used = newest_seq > reserved_seq ? newest_seq : reserved_seq;",
        "uint64_t used = newest_seq;")]),
    "the position moves back": ("47", [(
        "src/flow/position.c", "compare_significant(significant(text), position->number) > 0;",
        "true;")]),
    "nothing is ever released": ("8", [
        ("src/session/catchup.c", "if (sync->reached || (nothing_new && !waits && !promised)) {",
         "if (false) {"),
        ("src/session/catchup.c", "if (nothing_new && settled(s)) {", "if (settled(s) && false) {")]),
    "a link that is given up lives on": ("9", [(
        "src/session/link.c", "session_do(out, SESSION_DO_LINK_ABORT)->link = s->link;",
        "(void)out;")]),
    "an oversize message is not said": ("14", [(
        "src/engine/stream.c", "    stream_gap(stream, SESSION_GAP_OVERSIZE, text);",
        "    (void)stream, (void)text;")]),
}


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, **options)


class Tree:
    """A copy of the sources that is built once and then mutant by mutant."""

    def __init__(self, directory):
        self.root = Path(directory) / "hawser"
        for name in ("src", "conf", "systemd", "tests"):
            shutil.copytree(ROOT / name, self.root / name)
        for name in ("meson.build", "meson_options.txt"):
            shutil.copy(ROOT / name, self.root / name)
        self.build = self.root / "build"
        done = run(["meson", "setup", self.build, self.root, "-Doptimization=1", "-Ddebug=false",
                    "-Dwerror=false"], env={**os.environ, "CC": os.environ.get("CC", "gcc")})
        if done.returncode != 0:
            sys.exit(f"meson setup failed:\n{done.stdout}")
        self.make()

    def make(self):
        done = run(["ninja", "-C", self.build, "-j2", "tests/sim/sim_random"])
        if done.returncode != 0:
            sys.exit(f"the build failed:\n{done.stdout[-3000:]}")

    def simulate(self, steps):
        return run([self.build / "tests/sim/sim_random", "--steps", str(steps), "--profiles",
                    self.root / "conf/profiles"], timeout=300)

    def replace(self, file, old, new):
        path = self.root / file
        text = path.read_text()
        if text.count(old) != 1:
            sys.exit(f"{file}: stands there {text.count(old)} times, wanted once:\n{old}")
        path.write_text(text.replace(old, new))
        return path, text


def judge(tree, name, promises, replacements):
    """None if the mutant was killed as it should be, else what happened."""
    originals = [tree.replace(*replacement) for replacement in replacements]
    started = time.monotonic()
    try:
        tree.make()
        done = tree.simulate(STEPS)
    except subprocess.TimeoutExpired:
        return "the simulation did not end"
    finally:
        for path, text in reversed(originals):
            path.write_text(text)
    found = re.search(r"INVARIANT (\d) VIOLATED.*?: (.*)", done.stdout)
    if found is None:
        return f"survived:\n{done.stdout[-600:]}"
    if found.group(1) not in promises:
        return f"killed by promise {found.group(1)}, not by {' or '.join(promises)}: {found.group(2)}"
    print(f"killed by promise {found.group(1)} in {time.monotonic() - started:4.1f} s: {name}\n"
          f"    {found.group(2)}", flush=True)
    return None


def main():
    wanted = sys.argv[1:] or MUTANTS
    survivors = []
    with tempfile.TemporaryDirectory(prefix="hawser-mutants-") as directory:
        tree = Tree(directory)
        sane = tree.simulate(200_000)
        if sane.returncode != 0:
            sys.exit(f"without a mutant, too:\n{sane.stdout}")
        for name in wanted:
            trouble = judge(tree, name, *MUTANTS[name])
            if trouble:
                survivors.append(name)
                print(f"NOT KILLED: {name}\n    {trouble}", flush=True)
    print(f"{len(wanted) - len(survivors)} of {len(wanted)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
