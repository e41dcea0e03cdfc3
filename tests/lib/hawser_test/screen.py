"""hawserctl on a terminal of its own: a pty of a given size, and what has been written to it."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time

ESCAPES = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


class Screen:
    def __init__(self, command, columns=100, rows=60, env=None):
        self.fd, theirs = os.openpty()
        self.resize(columns, rows)
        environment = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        if not env or "NO_COLOR" not in env:
            environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(list(map(str, command)), stdin=theirs, stdout=theirs, stderr=theirs,
                                        env=environment, start_new_session=True)
        os.close(theirs)
        self.raw = ""

    def resize(self, columns, rows):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, timeout):
        """What there is within the time; False at the end."""
        if not select.select([self.fd], [], [], timeout)[0]:
            return True
        try:
            part = os.read(self.fd, 65536)
        except OSError:
            return False
        self.raw += part.decode(errors="replace")
        return bool(part)

    def wait(self, pattern, timeout=20):
        """Until something of the raw output matches; it is taken with all before it."""
        deadline = time.monotonic() + timeout
        while not (match := re.search(pattern, self.raw, re.S)):
            assert time.monotonic() < deadline, f"waited in vain for {pattern!r} in {self.raw!r}"
            assert self.read(0.5) or re.search(pattern, self.raw, re.S), f"it ended with {self.raw!r}"
        self.raw = self.raw[match.end():]
        return match

    def end(self, timeout=20):
        """(status, all that was still written)"""
        deadline = time.monotonic() + timeout
        while self.read(0.5) and time.monotonic() < deadline:
            pass
        return self.process.wait(timeout), self.raw

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.fd)


def plain(text):
    return ESCAPES.sub("", text).replace("\r\n", "\n")
