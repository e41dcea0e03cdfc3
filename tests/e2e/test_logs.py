"""The log: its forms, its bounds, and that nobody who does not read it holds hawserd up."""

import json
import os
import re
import shutil
import socket
import subprocess

import pytest

from hawser_test import web
from hawser_test.hawserd import ROOT, wait_until
from hawser_test.metrics import scrape

BURST = 20  # lines of a kind about a stream in ten seconds


def flap(hawser, times):
    """So often live, and not; an operator who asks for it runs into no policy."""
    for _ in range(times):
        hawser.wait_state("live")
        before = hawser.status("chat")["links"]
        hawser.request(op="reconnect", stream="chat")
        hawser.wait_status(lambda s: s["state"] == "live" and s["links"] > before, "a new link")


@pytest.fixture
def quick(hawser, service, ca):
    """Flaps as fast as one lets it."""
    hawser.scaiwave(service, ca=ca, start="oldest", backoff__steps="10ms")
    hawser.sections["daemon"]["log"] = "info"
    hawser.sections["daemon"]["dial_rate"] = "1000/s"
    hawser.web = hawser.runtime / "web.sock"
    hawser.sections["listen web"] = {"path": hawser.web, "protocol": "http"}
    return hawser


# ---- forms ----

def test_F59_json(quick, service):
    quick.sections["daemon"]["log_format"] = "json"
    quick.start().wait_state("live")
    service.drop("close", code=4242, reason='with "quotes" and \\ and \u00e9')
    quick.wait_log("4242")
    quick.wait_state("live")
    quick.stop()
    lines = [json.loads(line) for line in quick.log().splitlines()]
    assert all(set(line) <= {"time", "level", "stream", "link", "message"} for line in lines)
    ended, waiting = [line for line in lines if "4242" in line["message"]]
    assert 'with "quotes" and \\ and \u00e9' in waiting["message"]
    assert ended["stream"] == "chat" and re.fullmatch("[0-9a-f]{8}", ended["link"])
    assert waiting["link"] == ended["link"]  # whose end it is
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", ended["time"])
    assert lines[-1]["message"] == "stopped"


def test_F59_lifecycle_not_messages(quick, service):
    """As many messages as one likes are no line; each line about a link has its id."""
    quick.start().wait_state("live")
    before = len(quick.log().splitlines())
    with quick.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        service.publish(500)
        consumer.wait_events(500)
    assert len(quick.log().splitlines()) - before < 5  # but it may ask what came before the first
    for line in quick.log().splitlines():
        if re.search(r"\b(open to|ended:|dropped|live)\b", line):
            assert re.search(r" chat \[[0-9a-f]{8}\]: ", line), line


def test_journal_without_journald(quick):
    if os.path.exists("/run/systemd/journal/socket"):
        pytest.skip("a journald runs here")
    quick.sections["daemon"]["log_format"] = "journal"
    quick.start()
    quick.wait_log("log_format = journal, but there is no journald")


def test_journal(quick, service, tmp_path):
    """To something that is no journald, but has its socket: in a mount namespace of its own."""
    if os.geteuid() != 0 or not shutil.which("unshare") or subprocess.run(
            ["unshare", "-m", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("needs root and mount namespaces, to put a socket where journald's is")
    directory = tmp_path / "journal"
    directory.mkdir()
    directory.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(directory / "socket"))
        quick.wrapper = ["unshare", "-m", "sh", "-c",
                         f'mount -t tmpfs none /run/systemd 2>/dev/null || {{ mkdir -p /run/systemd && mount -t tmpfs '
                         f'none /run/systemd; }}; mkdir /run/systemd/journal && mount --bind {directory} '
                         f'/run/systemd/journal && exec "$@"', "sh"]
        quick.sections["daemon"]["log_format"] = "journal"
        quick.start().wait_state("live")
        # It hangs: nobody takes what comes, and hawserd goes on.
        flap(quick, 3)
        journald.settimeout(10)
        records = []
        while not any(r.get("HAWSER_STREAM") == "chat" and " > live" in r["MESSAGE"] for r in records):
            records.append(fields(journald.recv(65536)))
    record = next(r for r in records if r.get("HAWSER_LINK"))
    assert record["SYSLOG_IDENTIFIER"] == "hawserd" and record["PRIORITY"] in "34567"
    assert re.fullmatch("[0-9a-f]{8}", record["HAWSER_LINK"])
    # Who reads the messages alone sees whose they are, too.
    assert record["MESSAGE"].startswith(f"chat [{record['HAWSER_LINK']}]: ")
    assert "hawserd" not in quick.log()  # nothing of it on standard error


def test_the_catalog_knows_each_id():
    ids = set(re.findall(r'LOG_ID_\w+ "([0-9a-f]{32})"', (ROOT / "src" / "base" / "log.h").read_text()))
    catalog = (ROOT / "systemd" / "hawser.catalog").read_text()
    assert set(re.findall(r"^-- ([0-9a-f]{32})$", catalog, re.M)) == ids
    assert len(re.findall(r"^Subject: ", catalog, re.M)) == len(ids)


def fields(datagram):
    """Of journald's own protocol: a name, a length in 64 bits, a value."""
    found = {}
    while datagram:
        name, _, rest = datagram.partition(b"\n")
        size = int.from_bytes(rest[:8], "little")
        found[name.decode()] = rest[8:8 + size].decode()
        assert rest[8 + size:9 + size] == b"\n"
        datagram = rest[9 + size:]
    return found


# ---- bounds ----

def test_F59_a_stream_that_flaps(quick, service):
    """Its lines are bounded, kind by kind, and what was left out is counted and told."""
    quick.start()
    flap(quick, 60)
    quick.stop()
    log = quick.log()
    told = re.findall(r"chat: (\d+) more like this in 10 s: (.*)", log)
    assert told, log[-3000:]
    for kind in (" > live", "ended:", "open to"):
        said = sum(1 for line in log.splitlines() if kind in line and "more like this" not in line)
        left_out = sum(int(n) for n, text in told if kind in text)
        assert said + left_out >= 60 or kind == " > live", (kind, said, told)
    state_lines = sum(1 for line in log.splitlines() if re.search(r"\]: \w+ > \w+", line))
    assert state_lines <= BURST * 7, state_lines  # it took less than a minute


def test_F59_left_out_is_told_by_itself(quick, service):
    """Also when nothing follows."""
    quick.start()
    flap(quick, BURST + 5)
    quick.wait_log(r"\d+ more like this in 10 s", timeout=30)
    assert scrape(quick.web)["hawser_log_suppressed_total"][""] > 0


# ---- standard error ----

def test_F59_nobody_reads_standard_error(quick, service):
    """A full pipe: hawserd delivers on, counts what is lost, and says it when it is read again."""
    read, write = os.pipe()
    quick.sections["daemon"]["log"] = "debug"
    quick.write_config()
    quick.process = subprocess.Popen([quick.binary, "--config", quick.config], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=write, env=quick.env())
    os.close(write)
    wait_until(quick.accepting, "hawserd to listen")
    quick.wait_state("live")

    def lost():
        flap(quick, 1)
        return scrape(quick.web)["hawser_log_dropped_total"][""] > 0

    wait_until(lost, "the pipe to be full", timeout=100)
    with quick.consumer() as consumer:
        consumer.subscribe()
        service.publish(5)
        consumer.wait_events(5)
    with os.fdopen(read, "rb", closefd=True) as pipe:
        os.set_blocking(read, False)
        text = b""

        def said():
            nonlocal text
            try:
                text += os.read(read, 1 << 20)
            except BlockingIOError:
                flap(quick, 1)
            return b"log lines were lost" in text

        wait_until(said, "the loss to be said", timeout=60)
        for line in text.decode().splitlines()[:-1]:
            assert re.match(r"\d{4}-\d\d-\d\dT", line), line  # whole lines only
        quick.stop()
        assert pipe is not None


def test_F59_standard_error_is_closed(quick, service):
    """From the start, and by a reader that goes: nothing of it ends in a file, or ends hawserd."""
    quick.wrapper = ["sh", "-c", 'exec "$@" 2>&-', "sh"]
    quick.start().wait_state("live")
    service.drop("rst")
    quick.wait_state("live")
    assert web.ask(quick.web, "/healthz")[0] == 200
    quick.stop()
    quick.wrapper = ["bash", "-c", 'exec "$@" 2> >(exit 0)', "bash"]
    quick.start().wait_state("live")
    flap(quick, 2)
    quick.stop()
