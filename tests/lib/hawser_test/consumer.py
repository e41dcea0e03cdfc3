"""A local program: reads hawserd's lines with a deadline."""

import json
import socket
import time


class Closed(Exception):
    """hawserd closed the connection."""


class Consumer:
    def __init__(self, path, timeout=30, said=None):
        self.said = said  # a secrets.Said
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.buffer = bytearray()
        self.killed = False  # hawserd may die of SIGKILL while we read
        self.lines = []
        self.raw = b""  # the last line as it came
        self.events = []  # lines that are events, in order
        self.gaps = []
        self.notices = []
        try:
            self.greeting = self.line(timeout)
        except Closed:
            self.greeting = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # ---- lines ----

    def send_raw(self, data):
        self.socket.sendall(data)

    def send(self, **request):
        self.send_raw(json.dumps(request).encode() + b"\n")

    def line(self, timeout=30):
        """The next line, parsed and sorted by kind."""
        deadline = time.monotonic() + timeout
        while not self.lines:
            self.fill(deadline)
        self.raw = self.lines.pop(0)
        line = json.loads(self.raw)
        if self.said is not None:
            self.said.add_line(line)
        if "notice" in line:
            (self.gaps if line["notice"] == "gap" else self.notices).append(line)
        elif "seq" in line and "stream" in line:
            self.events.append(line)
        return line

    def fill(self, deadline):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise AssertionError("no line came in time")
        self.socket.settimeout(remaining)
        try:
            data = self.socket.recv(1 << 18)
        except socket.timeout:
            raise AssertionError("no line came in time") from None
        except ConnectionResetError:
            raise Closed() from None
        if not data:
            # Only a hawserd that was killed may leave a line unfinished.
            assert self.killed or not self.buffer, \
                f"closed in the middle of a line: {bytes(self.buffer)[:200]!r}"
            raise Closed()
        self.buffer += data
        if b"\n" in data:
            whole, _, rest = bytes(self.buffer).rpartition(b"\n")
            self.lines.extend(whole.split(b"\n"))
            self.buffer = bytearray(rest)

    # ---- requests ----

    def ask(self, timeout=30, **request):
        """The reply to a request; events and notices that come before it are kept."""
        self.send(**request)
        return self.reply(timeout)

    def reply(self, timeout=30):
        deadline = time.monotonic() + timeout
        while True:
            line = self.line(max(0.001, deadline - time.monotonic()))
            if "ok" in line or "error" in line:
                return line

    def subscribe(self, **request):
        reply = self.ask(op="subscribe", **request)
        assert reply.get("ok") == "subscribe", reply
        return reply

    # ---- waiting ----

    def wait(self, condition, what, timeout=30):
        """Reads until condition() holds."""
        deadline = time.monotonic() + timeout
        while not condition():
            try:
                self.line(max(0.001, deadline - time.monotonic()))
            except AssertionError:
                raise AssertionError(
                    f"waited {timeout} s in vain for {what() if callable(what) else what}; "
                    f"{self.brief()}") from None

    def wait_events(self, count, timeout=30):
        """Until `count` events are here in all; returns them."""
        self.wait(lambda: len(self.events) >= count, lambda: f"{count} events", timeout)
        return self.events

    def wait_id(self, ident, timeout=30):
        """Until the event of that id is the newest here."""
        self.wait(lambda: self.events and self.events[-1].get("id") == ident, ident, timeout)

    def wait_gap(self, reason, timeout=30):
        def found():
            return [gap for gap in self.gaps if gap["reason"] == reason]

        self.wait(found, f"a gap {reason}", timeout)
        return found()[0]

    def wait_notice(self, timeout=30, **members):
        def found():
            return [n for n in self.notices if members.items() <= n.items()]

        self.wait(found, f"a notice {members}", timeout)
        return found()[0]

    def wait_close(self, timeout=30):
        """Reads until hawserd closes."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.line(max(0.001, deadline - time.monotonic()))
        except Closed:
            pass

    def drain(self, quiet=0.5):
        """Reads until nothing has come for `quiet` seconds: to see that nothing comes."""
        try:
            while True:
                self.line(quiet)
        except AssertionError:
            pass

    # ---- judging ----

    def brief(self):
        ids = [event.get("id") for event in self.events]
        return (f"{len(ids)} events {ids[:3]} .. {ids[-3:]}, gaps {self.gaps[:5]}, "
                f"notices {self.notices[-5:]}")

    @property
    def seqs(self):
        return [event["seq"] for event in self.events if event["seq"] is not None]

    def ids(self, stream=None):
        return [event["id"] for event in self.events
                if "id" in event and stream in (None, event["stream"])]


def assert_same(found, wanted):
    """Two lists of ids, said briefly where they differ."""
    if found == wanted:
        return
    lost = [x for x in wanted if x not in set(found)]
    seen, twice = set(), []
    for x in found:
        if x in seen:
            twice.append(x)
        seen.add(x)
    strange = [x for x in found if x not in set(wanted)]
    first = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b),
                 min(len(found), len(wanted)))
    raise AssertionError(
        f"{len(found)} of {len(wanted)}; lost {len(lost)} {lost[:5]}; twice {len(twice)} {twice[:5]}; "
        f"not wanted {len(strange)} {strange[:5]}; first difference at {first}: "
        f"{found[first : first + 3]} instead of {wanted[first : first + 3]}")


def assert_rising(seqs):
    for before, after in zip(seqs, seqs[1:]):
        assert before < after, f"seq {after} after {before}"


def settled(hawser, service, consumer):
    """Publishes an event, and comes back with it when the stream no longer asks what came before its
    link's first event. What has no place in sync keeps its place among what comes from then on."""
    first = service.publish(1)
    consumer.wait_id(first.ids[0])
    hawser.wait_state("live")
    return first
