#!/usr/bin/python3
"""packaging/try, after the build: a service, hawserd, a reader, an outage, and the count.

    tryout.py BUILD [--keep]
"""

import os
import select
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hawser_test.certificates import Authority  # noqa: E402
from hawser_test.consumer import Closed  # noqa: E402
from hawser_test.hawserd import Hawserd, wait_until  # noqa: E402
from hawser_test.service import Service  # noqa: E402

RATE = 40  # events a second
BEFORE_S, OUTAGE_S, AFTER_S = 4, 6, 3
SHOWN_FIRST, SHOWN_EVERY_S = 5, 1.0


def say(text=""):
    print(text, flush=True)


class Reader:
    """Reads the events' socket and shows what comes: the first few, then one now and then."""

    def __init__(self, hawserd):
        self.consumer = hawserd.consumer()
        self.consumer.subscribe()
        self.seen = 0
        self.next_shown = 0.0
        self.live_at = None

    def run(self, seconds, until=lambda: False):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until():
            if not self.consumer.lines:
                wait = max(0.0, min(0.05, deadline - time.monotonic()))
                if not select.select([self.consumer.socket], [], [], wait)[0]:
                    continue
                self.consumer.fill(time.monotonic() + 1)
            while self.consumer.lines:
                self.show(self.consumer.line())

    def show(self, line):
        now = time.monotonic()
        if line.get("notice") == "stream":
            self.show_state(line, now)
        elif "notice" in line:
            say(f"    ! {line}")
        elif "seq" in line:
            self.seen += 1
            if self.seen <= SHOWN_FIRST or now >= self.next_shown:
                self.next_shown = now + SHOWN_EVERY_S
                say(f"    {line['seq']:>5}  {line['stream']}  {line['id']:<9} {line['type']}  "
                    f"{line['via']:<5} {line['data']['content']['body'].strip()!r}")
                if self.seen == SHOWN_FIRST:
                    say("           ... and so on; one a second is shown")

    def show_state(self, line, now):
        if line["state"] not in ("live", "waiting", "held", "parked", "catching-up"):
            return
        if line["state"] == "live":
            self.live_at = now
        retry = f"; next attempt in {line['retry_in_ms'] / 1000:.1f} s" if "retry_in_ms" in line else ""
        reason = line.get("reason", "").split(" (")[0]
        say(f"       --  {line['stream']} is {line['state']}: {reason}{retry}")


def show(service, hawserd):
    """Returns whether all came, once."""
    reader = Reader(hawserd)
    say(f"A chat service (pretended, TLS) listens on {service.host}, hawserd holds the link,")
    say(f"a local program reads {hawserd.socket}.")
    say(f"The service now publishes {RATE} events a second:\n")
    service.flow(RATE)
    reader.run(BEFORE_S)
    published = service.stats()["events"]
    say(f"\nThe service dies, without a word. For {OUTAGE_S} s events go on behind it ...\n")
    service.down("rst")
    reader.live_at = None
    reader.run(OUTAGE_S)
    missed = service.stats()["events"] - published
    say(f"\nThe service is back; {missed} events were published meanwhile.\n")
    service.up()
    up_at = time.monotonic()
    reader.run(20, until=lambda: reader.live_at)
    reader.run(AFTER_S)
    sent = service.flow(0)["count"]
    reader.run(10, until=lambda: len(reader.consumer.events) >= sent)
    reader.run(0.5)  # what comes twice would come now
    return judge(reader, service, sent, up_at)


def judge(reader, service, sent, up_at):
    first = service.stats()["next"] - sent
    wanted = [f"evt-{first + i}" for i in range(sent)]
    received = reader.consumer.ids()
    counts = Counter(received)
    lost = sum(1 for ident in wanted if not counts[ident])
    twice = sum(count - 1 for count in counts.values())
    in_order = received == wanted
    back = f"back after {reader.live_at - up_at:.1f} s" if reader.live_at else "not back"
    say()
    if not lost and not twice and not in_order:
        say("The order was not kept.")
    say(f"{sent} sent, {len(received)} received, {lost} lost, {twice} twice, {back}")
    return in_order and reader.live_at is not None


def tell_how(hawserd):
    say()
    say("Everything runs on. Try, in this or another terminal:")
    say(f"    socat - UNIX-CONNECT:{hawserd.socket}        then type  {{\"op\":\"subscribe\"}}")
    say(f"    {hawserd.ctl} --socket {hawserd.control} status")
    say(f"    {hawserd.ctl} --socket {hawserd.control} tail --from oldest --count 10")
    say(f"The log is in {hawserd.log_path}, the configuration in {hawserd.config}.")
    say(f"Stop it with:  kill {os.getpid()}")


def keep_on(service, stopped):
    service.flow(2)
    sink = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(sink, descriptor)
    while not stopped:
        time.sleep(0.2)


def run(build, keep, tell=None):
    """tell(status) is called when all is known; with keep this returns only when stopped."""
    stopped = []
    hawserd = Hawserd(build)
    service = None
    good = False
    with tempfile.TemporaryDirectory(prefix="hawser-ca-") as directory:
        try:
            ca = Authority(directory, "hawser try")
            with open(hawserd.directory / "service.log", "wb") as errors:
                service = Service(ca.issue(), errors)
            hawserd.secret()
            hawserd.sections["daemon"]["log"] = "info"
            hawserd.sections["stream chat"] = {
                "profile": "scaiwave", "host": service.host, "tls_ca": ca.cert,
                "token": f"file:{hawserd.directory / 'token'}", "start": "oldest"}
            hawserd.start()
            wait_until(lambda: hawserd.status("chat")["state"] == "live", "the link", 15)
            good = show(service, hawserd)
            if keep:
                signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
                tell_how(hawserd)
                tell(good)
                keep_on(service, stopped)
        except (AssertionError, Closed, KeyboardInterrupt, OSError, RuntimeError) as error:
            say(f"\nIt did not work: {type(error).__name__} {error}")
            say(f"hawserd's log:\n{hawserd.log()[-3000:]}")
            good = False
        finally:
            try:
                hawserd.close()
            except AssertionError as error:
                say(f"\n{error}")
                good = False
            if service:
                service.stop()
    return good


def run_and_keep(build):
    """The show in a process of its own, which stays; this one ends when all is told."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(reading)
        # A failure tells by closing the pipe.
        run(build, True, lambda good: (os.write(writing, b"1" if good else b"0"), os.close(writing)))
        os._exit(0)
    os.close(writing)
    try:
        return os.read(reading, 1) == b"1"
    except KeyboardInterrupt:
        os.kill(child, signal.SIGINT)
        os.waitpid(child, 0)
        return False


def main():
    build, keep = Path(sys.argv[1]), "--keep" in sys.argv[2:]
    return 0 if (run_and_keep(build) if keep else run(build, False)) else 1


if __name__ == "__main__":
    sys.exit(main())
