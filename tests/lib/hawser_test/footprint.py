"""What a hawserd takes of the machine."""

import os
import re

from hawser_test import web


def resident(hawser):
    """Bytes of memory of its own; the store's file, which is mapped, is not."""
    with open(f"/proc/{hawser.process.pid}/status") as status:
        return 1024 * int(next(line for line in status if line.startswith("RssAnon")).split()[1])


def descriptors(hawser):
    return len(os.listdir(f"/proc/{hawser.process.pid}/fd"))


def longest_stall_s(hawser, path):
    """How long the loop was busy at most, of which others had the processor for a part; path: of
    an http socket."""
    text = web.ask(path, "/metrics")[2]
    return float(re.search(r"^hawser_loop_stall_longest_seconds (\S+)$", text, re.MULTILINE)[1])


def is_sanitized(hawser):
    """Memory that is given back is kept for a while, then, so that no growth can be told."""
    binary = hawser.binary.read_bytes()
    return b"__asan_init" in binary or b"__tsan_init" in binary
