"""The package on a real systemd: a Debian of its own, booted under systemd-nspawn.

One machine serves all tests, which are in the order of a service's life: installed, configured,
started, hurt, reloaded, upgraded, removed, purged.
"""

import json
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hawser_test.consumer import Consumer, assert_rising, assert_same
from hawser_test.hawserd import ROOT, TOKEN, wait_until
from hawser_test.machine import Machine, Unable, check_able, field, libraries, package, \
    root_file_system, successor
from hawser_test.service import Service

pytestmark = [pytest.mark.machine, pytest.mark.seconds(600)]
SECURITY_MOST = 1.5
EVENTS = "/run/hawser/events.sock"
DROPIN = "/etc/systemd/system/hawserd.service.d"

BASIC = f"""
[listen events]
path = {EVENTS}
"""
CHAT = """
[stream chat]
profile = scaiwave
host = {host}
tls_ca = /etc/hawser/ca.pem
start = oldest
token = {token}
backoff.steps = 0,100ms,200ms,400ms
"""


@pytest.fixture(scope="module")
def debs():
    try:
        check_able()
    except Unable as why:
        pytest.skip(str(why))
    deb = package()
    with tempfile.TemporaryDirectory(prefix="hawser-deb-") as directory:
        yield deb, successor(deb, Path(directory))


@pytest.fixture(scope="module")
def machine(debs):
    try:
        machine = Machine(root_file_system(libraries(debs[0])))
    except Unable as why:
        pytest.skip(str(why))
    for name, deb in zip(("hawser", "successor"), debs):
        shutil.copy(deb, machine.path(f"/root/{name}.deb"))
    yield machine
    machine.kill()


@pytest.fixture(scope="module")
def upstream(ca):
    service = Service(ca.localhost)
    yield service
    service.stop()


@pytest.fixture
def chat(machine, upstream, ca):
    """hawserd with one stream, live, whatever the test before has left."""
    upstream.up()
    machine.run("rm", "-rf", DROPIN)
    machine.write("/etc/hawser/ca.pem", ca.cert.read_text())
    machine.write("/etc/hawser/chat-token", TOKEN + "\n", 0o600)
    dropin(machine, "token", "LoadCredential=chat-token:/etc/hawser/chat-token")
    configure(machine, BASIC + CHAT.format(host=upstream.host, token="credential:chat-token"))
    machine.run("systemctl", "stop", "hawserd.socket")
    machine.run("systemctl", "restart", "hawserd")
    wait_show(machine, "StatusText", "^1 stream live$")
    return machine


@pytest.fixture(autouse=True)
def told(machine, request):
    """What the machine has to say of a failure."""
    yield
    report = getattr(request.node, "call_report", None)
    if report is not None and report.failed:
        print(machine.run("systemctl", "status", "--no-pager", "hawserd", status=None))
        print(machine.run("journalctl", "--no-pager", "-n", "60", status=None))


def configure(machine, text=BASIC):
    machine.write("/etc/hawser/hawser.ini", text)


def connect(machine, path=EVENTS, timeout=30):
    return Consumer(machine.path(path), timeout)


def pid(machine, unit="hawserd"):
    return int(machine.show(unit, "MainPID"))


def wait_show(machine, name, wanted, timeout=60):
    last = []

    def look():
        last[:] = [machine.show("hawserd", name)]
        return re.search(wanted, last[0])

    return wait_until(look, lambda: f"{name} {wanted}; it is {last}", timeout, every=0.1)


def restarts(machine):
    return int(machine.show("hawserd", "NRestarts"))


def dropin(machine, name, text):
    machine.write(f"{DROPIN}/{name}.conf", f"[Service]\n{text}\n")
    machine.run("systemctl", "daemon-reload")


# ---- the package ----

def test_package_is_as_debian_expects(debs):
    listed = subprocess.run(["dpkg-deb", "-c", debs[0]], check=True, capture_output=True,
                            text=True).stdout
    for path in ("usr/sbin/hawserd", "usr/bin/hawserctl", "etc/hawser/hawser.ini",
                 "usr/lib/sysusers.d/hawser.conf", "usr/share/hawser/profiles/generic.ini",
                 "usr/share/man/man8/hawserd.8.gz", "usr/share/bash-completion/completions/hawserctl",
                 "usr/share/zsh/vendor-completions/_hawserctl"):
        assert f" ./{path}\n" in listed, listed
    for unit in ("hawserd.service", "hawserd.socket"):
        assert re.search(rf" \./(usr/)?lib/systemd/system/{unit}\n", listed), listed


def test_package_lintian(debs):
    if not shutil.which("lintian"):
        pytest.skip("there is no lintian")
    done = subprocess.run(["lintian", "--fail-on", "error,warning", "--tag-display-limit", "0", debs[0]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- installed and started ----

def test_installed_and_running(machine):
    machine.run("apt-get", "install", "-y", "/root/hawser.deb")
    wait_show(machine, "ActiveState", "^active$")
    assert machine.run("systemctl", "is-enabled", "hawserd").strip() == "enabled"
    assert machine.run("systemctl", "is-enabled", "hawserd.socket", status=None).strip() == "disabled"
    wait_show(machine, "StatusText", "^0 streams live$")
    assert machine.show("hawserd", "Type") == "notify"
    user = machine.run("id", "-nu", machine.run("stat", "-c", "%u", f"/proc/{pid(machine)}").strip())
    assert user.strip() == "hawser"
    assert machine.run("stat", "-c", "%U:%G %a", "/var/lib/hawser").strip() == "hawser:hawser 700"
    assert machine.run("stat", "-c", "%U:%G %a", EVENTS).strip() == "hawser:hawser 660"
    with connect(machine) as consumer:
        assert consumer.greeting["hawser"] == 1


def test_units_are_good_and_tight(machine):
    said = machine.run("systemd-analyze", "verify", "--man=no", "hawserd.service", "hawserd.socket", errors=True)
    assert not said
    rows = json.loads(machine.run("systemd-analyze", "security", "--json=short", "hawserd"))
    overall = machine.run("systemd-analyze", "security", "hawserd").strip().splitlines()[-1]
    figure = float(re.search(r": ([0-9.]+) ", overall).group(1))
    print(overall)
    exposed = [(row["name"], row["exposure"]) for row in rows if row.get("exposure")]
    assert figure <= SECURITY_MOST, exposed


def test_F38_credential_of_the_manager(chat, upstream):
    published = upstream.publish(5)
    with connect(chat) as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(5)
        assert_same(consumer.ids(), published.ids)


# ---- hurt ----

def test_F57_consumers_lose_nothing_over_a_restart(chat, upstream):
    """Nobody is refused either: who connects while there is no hawserd waits."""
    refused, found, seqs, stop = [], [], [], threading.Event()

    def knock():
        while not stop.is_set():
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(30)
                    client.connect(str(chat.path(EVENTS)))
                    if not client.recv(4096):
                        continue  # it came too late for the old one to greet it
            except (ConnectionRefusedError, FileNotFoundError) as error:
                refused.append(error)

    def read(first):
        """As any program does: comes back, and goes on behind the last it has seen."""
        position = first
        while not stop.is_set():
            try:
                with connect(chat) as consumer:
                    consumer.subscribe(**{"from": position})
                    while not stop.is_set():
                        line = consumer.line(1)
                        if "id" in line and "seq" in line:
                            found.append(line["id"])
                            seqs.append(line["seq"])
                            position = line["seq"]
            except Exception:
                continue

    with connect(chat) as consumer:
        newest = consumer.greeting["newest"]
    threads = [threading.Thread(target=knock), threading.Thread(target=read, args=(newest,))]
    for thread in threads:
        thread.start()
    published = []
    try:
        for _ in range(3):
            published += upstream.publish(30).ids
            chat.run("systemctl", "restart", "hawserd")
            published += upstream.publish(30).ids
        wait_until(lambda: len(found) >= len(published), lambda: f"{len(published)} events, {len(found)}")
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert_same(found, published)
    assert_rising(seqs)
    assert not refused, f"{len(refused)} were refused"


def test_F57_stop_within_five_seconds_says_1001(chat, upstream):
    upstream.stats(clear=True)
    started = time.monotonic()
    chat.run("systemctl", "stop", "hawserd")
    assert time.monotonic() - started < 5
    assert chat.show("hawserd", "Result") == "success"
    closes = upstream.wait(lambda stats: stats["closes"], "the close")["closes"]
    assert closes[-1]["code"] == 1001, closes


def test_F56_stopped_loop_is_killed_and_started_again(chat, upstream):
    dropin(chat, "watchdog", "WatchdogSec=3s\nRestartSec=100ms")
    chat.run("systemctl", "restart", "hawserd")
    before, count = pid(chat), restarts(chat)
    chat.run("systemctl", "kill", "-s", "STOP", "hawserd")
    wait_until(lambda: restarts(chat) > count, "the watchdog to bite", 60, every=0.1)
    wait_show(chat, "StatusText", "^1 stream live$")
    assert pid(chat) != before
    assert "Watchdog timeout" in chat.journal()


def test_F57_crash_is_followed_by_a_start_and_who_connects_meanwhile_waits(chat, upstream):
    before, count = pid(chat), restarts(chat)
    with connect(chat) as consumer:
        newest = consumer.greeting["newest"]
    chat.run("systemctl", "kill", "-s", "SEGV", "hawserd")
    wait_show(chat, "SubState", "^auto-restart$")
    published = upstream.publish(5)
    with connect(chat, timeout=60) as consumer:
        consumer.subscribe(**{"from": newest})
        consumer.wait_events(5)
        assert_same(consumer.ids(), published.ids)
    assert pid(chat) != before and restarts(chat) == count + 1


def test_F58_configuration_error_ends_with_78_and_is_not_tried_again(chat, upstream):
    text = chat.path("/etc/hawser/hawser.ini").read_text()
    configure(chat, text + "\n[listen more]\npaht = /run/hawser/more.sock\n")
    chat.run("systemctl", "restart", "hawserd", status=1)
    assert chat.show("hawserd", "ExecMainStatus") == "78"
    assert chat.show("hawserd", "ActiveState") == "failed"
    assert "paht" in chat.journal("hawserd", "-n", "20")
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        connect(chat)
    configure(chat, text)
    chat.run("systemctl", "start", "hawserd")
    wait_show(chat, "StatusText", "^1 stream live$")


def test_F60_status_line_says_what_is_not_well(chat, upstream):
    upstream.down()
    wait_show(chat, "StatusText", "^0 of 1 stream live; chat (waiting|dialing)")
    assert "chat " in chat.run("systemctl", "status", "--no-pager", "hawserd")
    upstream.up()
    wait_show(chat, "StatusText", "^1 stream live$")


# ---- exec: in the sandbox ----

def test_F38_exec_credential_within_the_sandbox(chat, upstream):
    chat.write("/usr/local/bin/chat-token", f"#!/bin/sh\necho {TOKEN}\n", 0o755)
    configure(chat, BASIC + CHAT.format(host=upstream.host, token="exec:/usr/local/bin/chat-token"))
    chat.run("systemctl", "restart", "hawserd")
    wait_show(chat, "StatusText", "^1 stream live$")


def test_F38_exec_credential_that_wants_more_has_the_dropin(chat, upstream):
    """One that reads /proc/meminfo and sets its own priority, as large runtimes do."""
    chat.write("/usr/local/bin/chat-token", "#!/bin/sh\nset -e\ngrep -q MemTotal /proc/meminfo\n"
                  f"renice 10 $$ >&2\necho {TOKEN}\n", 0o755)
    configure(chat, BASIC + CHAT.format(host=upstream.host, token="exec:/usr/local/bin/chat-token"))
    chat.run("systemctl", "restart", "hawserd")
    wait_show(chat, "StatusText", "^0 of 1 stream live; chat .*(exit status|chat-token)")
    chat.run("cp", "/usr/share/hawser/examples/exec-credentials.conf", DROPIN)
    chat.run("systemctl", "daemon-reload")
    chat.run("systemctl", "restart", "hawserd")
    wait_show(chat, "StatusText", "^1 stream live$")


# ---- the socket unit ----

def test_F57_socket_unit_listens_while_there_is_no_hawserd(chat, upstream):
    chat.run("systemctl", "stop", "hawserd")
    chat.run("systemctl", "start", "hawserd.socket")
    assert chat.show("hawserd", "ActiveState") == "inactive"
    assert chat.run("stat", "-c", "%U:%G %a", EVENTS).strip() == "hawser:hawser 660"
    with connect(chat, timeout=60) as consumer:  # which starts it
        consumer.subscribe(**{"from": "now"})
        published = upstream.publish(3)
        consumer.wait_events(3)
        assert_same(consumer.ids(), published.ids)
    assert chat.show("hawserd", "ActiveState") == "active"


# ---- the journal ----

def test_F60_journal_fields(chat, upstream):
    dials = len(upstream.stats()["dials"])
    upstream.drop()
    upstream.wait(lambda stats: len(stats["dials"]) > dials, "hawserd to dial again")
    wait_show(chat, "StatusText", "^1 stream live$")
    records = [json.loads(line) for line in chat.journal(
        "hawserd", "-o", "json", "HAWSER_STREAM=chat").splitlines()]
    assert any(re.fullmatch("[0-9a-f]{8}", record.get("HAWSER_LINK", "")) for record in records)
    assert all(record["SYSLOG_IDENTIFIER"] == "hawserd" for record in records)
    assert TOKEN not in json.dumps(records)


# ---- reload ----

def test_F58_reload(chat, upstream):
    text = chat.path("/etc/hawser/hawser.ini").read_text()
    before, links = pid(chat), len(upstream.stats()["dials"])
    configure(chat, text + "\n[listen more]\npath = /run/hawser/more.sock\n")
    chat.run("systemctl", "reload", "hawserd")
    with connect(chat, "/run/hawser/more.sock") as consumer:
        assert consumer.greeting
    configure(chat, text + "\n[listen more]\npaht = /run/hawser/more.sock\n")
    chat.run("systemctl", "reload", "hawserd", status=1)
    assert "paht" in chat.journal("hawserd", "-n", "20")
    with connect(chat, "/run/hawser/more.sock") as consumer:
        assert consumer.greeting
    configure(chat, text)
    chat.run("systemctl", "reload", "hawserd")
    assert not chat.path("/run/hawser/more.sock").exists()
    assert (pid(chat), len(upstream.stats()["dials"])) == (before, links)
    assert chat.show("hawserd", "ActiveState") == "active"


# ---- upgraded, removed, purged ----

def test_F57_upgrade_keeps_state_and_goes_on(chat, upstream, debs):
    with connect(chat) as consumer:
        instance, newest = consumer.greeting["instance"], consumer.greeting["newest"]
    before = pid(chat)
    chat.run("apt-get", "install", "-y", "/root/successor.deb")
    assert chat.run("dpkg-query", "-W", "-f", "${Version}", "hawser") == field(debs[1], "Version")
    wait_show(chat, "StatusText", "^1 stream live$")
    assert pid(chat) != before
    published = upstream.publish(4)
    with connect(chat) as consumer:
        assert consumer.greeting["instance"] == instance
        consumer.subscribe(**{"from": newest})
        consumer.wait_events(4)
        assert_same(consumer.ids(), published.ids)


def test_removed_and_purged(machine):
    machine.run("apt-get", "remove", "-y", "hawser")
    assert machine.show("hawserd", "ActiveState") == "inactive"
    assert machine.path("/var/lib/hawser/store").exists(), "state stays until the purge"
    assert machine.path("/etc/hawser/hawser.ini").exists()
    machine.run("apt-get", "purge", "-y", "hawser")
    for path in ("/var/lib/hawser", "/run/hawser", "/etc/hawser/hawser.ini"):
        assert not machine.path(path).exists(), path
    assert machine.path("/etc/hawser/chat-token").exists(), "not the package's"
    assert machine.run("systemctl", "list-unit-files", "--no-legend", "hawserd*", status=None) == ""
