"""What a service manager is to hawserd: who hears it (sd_notify) and keeps its sockets (LISTEN_FDS)."""

import array
import os
import select
import socket
import sys
import time

# Puts the descriptors where sd_listen_fds(3) says, in a process whose number is known, and goes on as it.
HAND_OVER = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1].split(",") if fd]
for i, fd in enumerate(fds):
    os.dup2(fd, 3 + i)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    def __init__(self, hawser, watchdog_us=None):
        self.hawser = hawser
        self.heard = []  # dictionaries, in order
        self.store = {}  # name: descriptor
        self.given = {}
        path = hawser.directory / "notify.sock"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        hawser.environment["NOTIFY_SOCKET"] = str(path)
        if watchdog_us:
            hawser.environment["WATCHDOG_USEC"] = str(watchdog_us)

    def give(self, name, listener):
        """A socket as of a socket unit."""
        self.given[name] = listener.fileno()

    def prepare(self):
        """What the next start of hawserd is handed over."""
        handed = {**self.given, **self.store}
        if not handed:
            return
        fds = list(handed.values())
        self.hawser.descriptors = fds
        self.hawser.wrapper = [sys.executable, "-c", HAND_OVER, ",".join(map(str, fds))]
        self.hawser.environment.update(LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=":".join(handed))

    def listen(self, seconds=0.0):
        """Takes what has come, waiting so long for a first word."""
        while select.select([self.socket], [], [], seconds)[0]:
            seconds = 0
            text, ancillary, _, _ = self.socket.recvmsg(4096, 4096)
            words = dict(line.split("=", 1) for line in text.decode().split("\n") if line)
            self.heard.append(words)
            fds = array.array("i")
            for _, kind, data in ancillary:
                if kind == socket.SCM_RIGHTS:
                    fds.frombytes(data)
            if "FDSTORE" in words:
                self.store[words["FDNAME"]] = fds[0]
            if "FDSTOREREMOVE" in words:
                os.close(self.store.pop(words["FDNAME"]))
        return self.heard

    def wait(self, condition, what, timeout=30):
        """Until condition(words) holds for one that was heard; returns it, and forgets all up to it."""
        deadline = time.monotonic() + timeout
        while True:
            for i, words in enumerate(self.heard):
                if condition(words):
                    del self.heard[: i + 1]
                    return words
            assert time.monotonic() < deadline, f"the manager waited in vain for {what}: {self.heard}"
            self.listen(0.1)

    def wait_status(self, text, timeout=30):
        return self.wait(lambda words: text in words.get("STATUS", ""), f"STATUS {text}", timeout)

    def close(self):
        self.socket.close()
        for fd in self.store.values():
            os.close(fd)
