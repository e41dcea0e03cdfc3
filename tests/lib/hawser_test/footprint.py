"""What a hawserd takes of the machine."""

import os


def resident(hawser):
    """Bytes of memory of its own; the store's file, which is mapped, is not."""
    with open(f"/proc/{hawser.process.pid}/status") as status:
        return 1024 * int(next(line for line in status if line.startswith("RssAnon")).split()[1])


def descriptors(hawser):
    return len(os.listdir(f"/proc/{hawser.process.pid}/fd"))


def is_sanitized(hawser):
    """Memory that is given back is kept for a while, then, so that no growth can be told."""
    return b"__asan_init" in hawser.binary.read_bytes()
