#!/usr/bin/python3
"""Shows that the random simulation sees what it claims to see.

Each mutant is a deliberate bug: a few words of src, or of a profile, replaced in a copy of the tree. The copy is built,
sim_random runs on fixed seeds, and must find a broken promise: one of those that the mutant names
(the numbers are those of random/world.h). A mutant that survives, or whose words are no longer in
the source just once, fails the test.

    tests/sim/mutants.py [NAME...]      all of them, or only those whose names contain one of these
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
STEPS = 4_000_000

ASSERTION = 0  # killed by the machine's own check of itself

# name: the promises of which one is broken, then (file, what stands there, what the mutant has).
MUTANTS = {
    # 1 nothing lost
    "back-pressure loses the message": ({1, 3}, [(
        "src/engine/messages.c", "            link->blocked = true;\n            return ERR_AGAIN;",
        "            return 0;")]),
    "released before sync has reached the hold": ({1, 4}, [(
        "src/session/catchup.c", "    if (sync->reached) {", "    if (true) {")]),
    "sync's word is proof": ({1, 3}, [(
        "src/session/doubt.c", "    sync->doubted = true;", "    return;")]),
    "in doubt the link's first event is not held": ({1, 3}, [(
        "src/flow/flow.c", "!event->ephemeral && flow_hold_doubted(flow, event))", "false)")]),
    "in doubt sync is not asked once more": ({1, 3}, [(
        "src/session/doubt.c", "s->now_ms >= s->sync.doubt_at_ms)", "false)"), (
        "src/session/heal.c",
        "return sync->request == 0 && sync->doubt_at_ms < at ? sync->doubt_at_ms : at;",
        "return at;")]),
    "what proves a doubt is one page": ({1, 3, 4}, [(
        "src/session/doubt.c", "if (promised && sync->stale_pages < SESSION_STALE_PAGES) {",
        "if (false) {")]),
    "any position follows": ({1, 4}, [(
        "src/flow/contiguous.c", "position > 0 && position - 1 == contiguous->newest;",
        "position > 0;"), (
        "src/flow/flow.c", "if (flow->contiguous.on && contiguous_hole(&flow->contiguous, event, &after)) {",
        "if (!follows && flow->contiguous.on && contiguous_hole(&flow->contiguous, event, &after)) {")]),
    "nobody hears that the hold is full": ({1, 3, 4}, [(
        "src/engine/messages.c", "        stream_post_link(stream, SESSION_EV_HELD_FULL, link, NULL);",
        "        ;")]),
    "sync owes nothing for what was dropped": ({1, 3}, [(
        "src/flow/flow.c", "out->owed = owed_any(&flow->owed, &flow->position);",
        "out->owed = false;")]),
    "the cursor of a page with items is used": ({1, 3, 4}, [(
        "src/engine/requests.c",
        "if (use_next && page->has_next && (page->items == 0 || !page->has_last))",
        "if (page->has_next)")]),
    "the position outlives the events that the store lost": ({1, 4}, [(
        "src/flow/flow.c", "    flow->by_position = false;\n    begin_at(",
        "    flow->by_position = false;\n    if (!flow->position.known)\n        begin_at(")]),
    "a restart is no gap where nothing can be resumed": ({1}, [(
        "src/session/session.c", "(args->lived || args->has_position)", "args->has_position")]),
    "an audit never finds anything": ({1, 4, 8}, [(
        "src/flow/audit.c", "        return now_ms - suspect->first_ms < FLOW_SUSPECT_MS;",
        "        return true;")]),
    "an audited stream resumes where it was, not where it was whole": ({1, 4, 7}, [(
        "src/flow/flow.c", "    if (!flow->audit.on) {\n        if (advances)",
        "    if (true) {\n        if (advances)")]),
    "a hole in contiguous positions is passed over": ({1, 4}, [(
        "src/flow/contiguous.c", "    if (!position_of(event, &position))\n        return false;\n    if (event->sequence",
        "    if (!position_of(event, &position) || true)\n        return false;\n    if (event->sequence")]),
    "unkeyed events are dropped before sync has brought them": ({1, 4}, [(
        "src/flow/copies.c", "        return COPY_WAIT;", "        return COPY_DROP;")]),
    # 2 each once
    "duplicates are not recognised": ({2}, [(
        "src/flow/flow.c", "return event->has_key && window_has(&flow->window, event->key);",
        "(void)flow, (void)event; return false;")]),
    "dedup keys are not loaded at a start": ({2}, [(
        "src/flow/flow.c", "    know(flow, key);\n    owed_pay(&flow->owed, key);",
        "    (void)flow, (void)key;")]),
    # 3 in order
    "a hold is no hold": ({1, 3}, [(
        "src/flow/held.c", "    flow_doubt(flow, false);\n    flow->mode = FLOW_MODE_HOLD;",
        "    flow_doubt(flow, false);\n    flow->mode = FLOW_MODE_PASS;")]),
    "an answer that was cancelled is taken": ({1, 2, 3, 9}, [(
        "src/engine/requests.c",
        "} else if (number != 0 && number == stream->request.wire) {\n        enum session_purpose",
        "} else if (number != 0) {\n        enum session_purpose")]),
    "a successor's events are not held": ({1, 3}, [(
        "src/engine/messages.c",
        "enum flow_side side = link->role == STREAM_SUCCESSOR ? FLOW_SUCCESSOR : FLOW_LINK;",
        "enum flow_side side = FLOW_LINK;")]),
    "what has no key waits for the release": ({3}, [(
        "src/flow/flow.c", "flow->mode == FLOW_MODE_HOLD && flow_make_way(flow, &event) != 0)", "false)")]),
    "what has no key does not wait for what is before it": ({3}, [(
        "src/flow/held.c", "    return lane->met;\n", "    return true;\n")]),
    # 4 gaps are said
    "a gap is not said when the position is forgotten": ({1, 4}, [(
        "src/session/session.c",
        "    session_do(out, SESSION_DO_FORGET);\n    session_gap(out, SESSION_GAP_EPOCH, why);",
        "    session_do(out, SESSION_DO_FORGET);")]),
    "an oversize message is not said": ({4}, [(
        "src/engine/stream.c",
        "    stream_gap_between(stream, SESSION_GAP_OVERSIZE, gap->after, gap->before, text);",
        "    (void)stream, (void)gap, (void)text;")]),
    "the gap of an oversize message does not wait for its place": ({4}, [(
        "src/flow/held.c", "    if (!kept) {\n        flow_say", "    if (true) {\n        flow_say")]),
    "a malformed event and its gap are parted": ({4}, [
        ("src/engine/hub.c", "unsigned records = event->malformed != NULL ? 2 : 1;",
         "unsigned records = 1;"),
        ("src/engine/hub.c", "size_t extra = event->malformed != NULL ? GAP_LINE_MAX : 0;",
         "size_t extra = 0;")]),
    # 5 disk first
    "events are delivered before they are on disk": ({5}, [
        ("src/engine/hub.c", "if (!hub->received && waiting > 0)", "if (false && waiting > 0)"),
        ("src/engine/hub.c", "    if (hub->received)\n        publish_unstored(hub);\n    return 0;",
         "    publish_unstored(hub);\n    return 0;")]),
    "a consumer that comes from the store skips one": ({5, 13}, [(
        "src/fanout/sub.c", "        sub->next_index = find_after(fanout, sub->cursor);",
        "        sub->next_index = find_after(fanout, sub->cursor + 1);")]),
    "a consumer is hot one event too early": ({5, 6}, [(
        "src/fanout/sub.c", "sub->hot = sub->cursor >= fanout->evicted_seq;",
        "sub->hot = sub->cursor + 1 >= fanout->evicted_seq;")]),
    "a commit that failed and is on disk is passed over": ({5}, [(
        "src/engine/hub.c", "    fanout_skip(hub->fanout, newest_seq);\n", "")]),
    # 6 seq
    "reserved seqs are used again": ({6}, [(
        "src/engine/hub.c", "uint64_t used = newest_seq > reserved_seq ? newest_seq : reserved_seq;",
        "uint64_t used = newest_seq;")]),
    # 7 position
    "the position moves back": ({4, 7}, [(
        "src/flow/position.c", "compare_significant(significant(text), position->number) > 0;",
        "true;")]),
    "an event's position is stored with the next one": ({7}, [(
        "src/engine/hub.c", "    if (event->resume.ptr != NULL)\n        set_position",
        "    if (event->resume.ptr != NULL && hub->batch[hub->filling]->count > 1)\n        set_position")]),
    # 8 progress
    "nothing is ever released": ({8}, [
        ("src/session/catchup.c", "if (sync->reached) {", "if (false) {"),
        ("src/session/catchup.c", "if (nothing_new && !waits && !promised) {", "if (false) {"),
        ("src/session/catchup.c", "if (nothing_new && settled(s)) {", "if (settled(s) && false) {")]),
    "nobody hears that there is room again": ({8}, [(
        "src/engine/hub.c", "    hub->room_wanted = false;\n    hub->ops->room(hub->arg);",
        "    hub->room_wanted = false;")]),
    # 9 bounds
    "a link that is given up lives on": ({1, 9}, [(
        "src/session/link.c", "session_do(out, SESSION_DO_LINK_ABORT)->link = s->link;",
        "(void)out;")]),
    "a full hold asks anew, though it has asked": ({9}, [(
        "src/session/catchup.c", "if (sync->request == 0 && !sync->backing_off) {",
        "if (!sync->backing_off) {")]),
    "the old link stays after a handover": ({8, 9}, [(
        "src/session/handover.c", "    if (old != 0) {\n        struct session_action *action = session_do(out, SESSION_DO_LINK_CLOSE);",
        "    if (false) {\n        struct session_action *action = session_do(out, SESSION_DO_LINK_CLOSE);")]),
    "the fallback goes on beside the only connection": ({ASSERTION, 9}, [(
        "src/session/fallback.c", "    if (s->profile->connect.parallel >= 2)\n        return true;",
        "    if (true)\n        return true;")]),
    # 10 restraint
    "the backoff never grows": ({10}, [(
        "src/session/policy.c", "        s->step++;", "        s->step = 0;")]),
    "a crash forgets the attempt that was under way": ({10}, [
        ("src/session/saved.c", "        .dialled = is_dialling(&s),", "        .dialled = false,"),
        ("src/engine/slots.c", "    state.dialled = state.dialled || dialling;",
         "    (void)dialling;")]),
    "a crash ends every wait": ({10}, [(
        "src/session/saved.c", "resumed->wait_ms > 0 &&", "false &&")]),
    "a dial does not wait for the disk": ({10}, [(
        "src/engine/slots.c",
        "        stream->slots[i] = STREAM_SLOT_SAVING;\n        save_slot(stream, i);",
        "        stream->slots[i] = STREAM_SLOT_OURS;\n        stream_post_kind(stream, SESSION_EV_SLOT);")]),
    "a profile whose backoff hammers the service": ({10}, [(
        "conf/profiles/scaiwave.ini", "steps = 0,1s,2s,4s,8s,16s,30s", "steps = 0,100ms")]),
    "a profile that comes back at once when it was told to rest": ({10}, [
        ("conf/profiles/scaiwave.ini", "jitter = 0.2", "jitter = 0.9")]),
    # 12 answered
    "an acknowledgement is answered before it is on disk": ({12}, [(
        "src/fanout/consumer.c", "return consumer->saved >= change;", "return true;")]),
    "a cursor is saved as it was when it was saved last": ({12}, [(
        "src/fanout/saved.c", "saved->cursor", "(saved->cursor > 3 ? saved->cursor - 3 : 0)")]),
    # 13 cursors
    "the cursor moves with what is sent": ({13}, [(
        "src/fanout/consumer.c", "limit = first_unacked(consumer) - 1;",
        "limit = consumer->passed;")]),
    "a cursor is saved one too far": ({13}, [(
        "src/fanout/saved.c", "saved->cursor", "(saved->cursor + 1)")]),
    "a loss that was told need not be acknowledged": ({13}, [(
        "src/fanout/consumer.c", "    consumer->gap.told = true;\n    consumer->gap.to_seq = to_seq;",
        "    consumer->gap.told = false;\n    consumer->gap.to_seq = to_seq;")]),
    # 11 budget
    "connects are not counted": ({11}, [(
        "src/broker/broker.c",
        "    rate_add(&client->scope->connects, 1, client->broker->now_ms);", "    ;")]),
    "what was counted does not outlive a crash": ({11}, [(
        "src/broker/run.c", "        if (slice_eq_str(key, scope->key))",
        "        if (slice_eq_str(key, scope->key) && false)")]),
}


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, **options)


class Tree:
    """A copy of the sources that is built once and then mutant by mutant."""

    def __init__(self, directory):
        self.root = Path(directory) / "hawser"
        for name in ("src", "conf", "systemd", "packaging", "tests"):
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
    found = re.search(r"INVARIANT (\d+) VIOLATED .*, step (\d+): (.*)\nseed (\d+);", done.stdout)
    asserted = re.search(r"(\w+): Assertion `.*' failed", done.stdout)
    if asserted and ASSERTION in promises:
        print(f"killed by an assertion in {asserted[1]}, {time.monotonic() - started:.1f} s: {name}",
              flush=True)
        return None
    if found is None:
        return f"survived:\n{done.stdout[-600:]}"
    promise, step, what, seed = found.groups()
    if int(promise) not in promises:
        return f"killed by promise {promise}, not by {' or '.join(map(str, promises))}: {what}"
    print(f"killed by promise {promise} after {step} steps of seed {seed}, "
          f"{time.monotonic() - started:.1f} s: {name}\n    {what}", flush=True)
    return None


def main():
    wanted = [name for name in MUTANTS
              if not sys.argv[1:] or any(part in name for part in sys.argv[1:])]
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
