"""hawserctl as an operator uses it: on terminals and in pipes, while hawserd comes and goes."""

import json
import re
import signal
import subprocess

import pytest
from hawser_test.hawserd import ROOT, wait_until
from hawser_test.screen import Screen, plain

EXPLAINED = """
[close]
4003 = park
4010 = hold 10m
[explain]
4003 = the account has no access to orders (its role lacks it). Fix: ask for the role, or take another account
"""


@pytest.fixture
def screens():
    opened = []

    def open_screen(hawser, *arguments, **options):
        screen = Screen([hawser.ctl, "--socket", hawser.control, *arguments], **options)
        opened.append(screen)
        return screen

    yield open_screen
    for screen in opened:
        screen.close()


@pytest.fixture
def ill(feed, peer):
    """One stream that the service has put off, one that nobody answers, one that is paused."""
    hawser = feed(EXPLAINED)
    feed(EXPLAINED, name="other", host="localhost:1", backoff__steps="0,60s")
    feed(EXPLAINED, name="off")
    hawser.start()
    hawser.wait_state("live", stream="feed")
    hawser.request(op="pause", stream="off")
    hawser.wait_state("paused", stream="off")
    for link in list(peer.links):
        peer.close_link(link, 4003, "no access for acct-77")
    hawser.wait_state("parked", stream="feed")
    hawser.wait_status(lambda s: s.get("retry_in_ms", 0) > 20_000, "the second wait", stream="other")
    return hawser


def run(hawser, *arguments, **options):
    return subprocess.run([hawser.ctl, "--socket", hawser.control, *map(str, arguments)], capture_output=True,
                          text=True, timeout=60, env=hawser.env(), **options)


def test_status_on_a_terminal(ill, screens):
    screen = screens(ill, "status", columns=72)
    status, text = screen.end()
    lines = plain(text).splitlines()
    assert status == 1
    assert lines[0] == "2 of 3 streams are not well, store ok; 1 paused"
    assert "\x1b[1;31m2 of 3" in text
    whole = " ".join(plain(text).split())
    # Who needs someone comes first: since when, why, what it means, what comes next, what to do.
    feed, other = whole.index("feed parked for "), whole.index("other down for ")
    assert feed < other < whole.index("off paused for ")
    for words in (r"since \d\d:\d\d:\d\d", "why close 4003: no access for acct-77",
                  r"cause the account has no access to orders \(its role lacks it\)",
                  r"next waits for someone.* one quiet attempt in 1h\w*, at \d\d:\d\d:\d\d",
                  "do ask for the role, or take another account; then: hawserctl reconnect feed"):
        found = re.search(words, whole)
        assert found and feed < found.start() < other, (words, whole)
    assert re.search(r"why tcp: connect to .*refused .*next tries again in \S+, at \d\d:\d\d:\d\d", whole)
    assert "do hawserctl resume off" in whole
    assert all(len(line) <= 72 for line in lines)


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colour(ill, screens, env):
    status, text = screens(ill, "status", env=env).end()
    assert status == 1 and "\x1b" not in text


def test_columns_that_a_narrow_terminal_goes_without(chat, screens):
    wide = plain(screens(chat, "status", columns=120).end()[1])
    narrow = plain(screens(chat, "status", columns=44).end()[1])
    assert wide.startswith("all well: 1 stream, store ok\n")
    assert re.search(r"^STREAM +STATE +FOR +MSG/S +LAST +RTT +EVENTS +DUPLICATES +POSITION$", wide, re.M)
    assert re.search(r"^STREAM +STATE +FOR +MSG/S", narrow, re.M) and "POSITION" not in narrow
    for part in ("store", "consumers", "listeners"):
        assert re.search(rf"^{part} ", narrow, re.M)


def test_status_in_a_pipe(ill):
    done = run(ill, "status")
    assert done.returncode == 1 and done.stderr == "" and "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == "2 of 3 streams are not well, store ok; 1 paused"
    head = next(i for i, line in enumerate(lines) if line.startswith("STREAM "))
    rows = {line.split()[0]: line.split() for line in lines[head + 1 : head + 4]}
    assert {name: row[1] for name, row in rows.items()} == {"feed": "parked", "other": "waiting", "off": "paused"}
    assert all(len(row) == len(lines[head].split()) for row in rows.values())
    assert "feed: why: close 4003: no access for acct-77" in lines
    assert "feed: cause: the account has no access to orders (its role lacks it)" in lines
    assert "off: do: hawserctl resume off" in lines


def test_status_of_one_stream(ill):
    done = run(ill, "status", "feed")
    assert done.returncode == 1
    assert done.stdout.startswith("1 of 1 stream is not well, store ok\n")
    told = {line.split(": ")[1] for line in done.stdout.splitlines() if line.startswith("feed: ")}
    assert told >= {"since", "why", "cause", "next", "do", "profile", "links", "messages", "stored", "position"}
    assert "other:" not in done.stdout
    nobody = run(ill, "status", "nobody")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "no stream nobody" in nobody.stderr


def test_status_as_json(ill):
    for arguments in (("--json", "status"), ("status", "--json")):
        done = run(ill, *arguments)
        status = json.loads(done.stdout)
        assert done.returncode == 1 and not status["well"]
        assert {s["stream"]: s["well"] for s in status["streams"]} == {"feed": False, "other": False, "off": True}
    other = next(s for s in status["streams"] if s["stream"] == "other")
    assert other["down_ms"] > 0 and "refused" in other["trouble"]


def test_what_a_stream_brings(chat, service):
    service.publish(1)
    chat.wait_status(lambda s: sum(s["stored"].values()) >= 1, "an event")
    status = chat.status()
    stream = status["streams"][0]
    assert stream["messages_per_s"] > 0
    assert stream["last_message_ms"] >= 0
    assert "down_ms" not in stream and "trouble" not in stream
    assert status["store"]["commit_ms"] >= 0 and status["store"]["retain_bytes"] == 1 << 30
    wait_until(lambda: chat.status()["store"].get("oldest_ms", -1) >= 0, "the oldest event's age")
    listeners = {listener["listen"]: listener for listener in status["listeners"]}
    assert listeners["events"]["protocol"] == "ndjson" and listeners["events"]["path"] == str(chat.socket)
    assert listeners["control"]["clients"] == 1


def test_consumers_that_lag(chat, service):
    with chat.consumer() as consumer:
        consumer.ask(op="subscribe", consumer="mailer")
    service.publish(1)
    wait_until(lambda: json.loads(run(chat, "--json", "consumers").stdout)["consumers"][0]["lag"] == 1, "its lag")
    line = next(line for line in run(chat, "status").stdout.splitlines() if line.startswith("consumers: "))
    assert re.fullmatch(r"consumers: lag: 1 named, 0 connected; 1 is behind: mailer 1 \(gone for \S+\)", line)


def test_watch_over_a_restart(chat, screens):
    screen = screens(chat, "status", "--watch", columns=80, rows=30)
    screen.wait(r"^\x1b\[\?1049h")
    screen.wait("all well")
    screen.wait("all well")
    chat.stop()
    screen.wait("hawserd is not reachable.*is hawserd running")
    chat.start()
    screen.wait("all well")
    screen.resize(60, 6)
    screen.wait(r"more lines")
    screen.process.send_signal(signal.SIGINT)
    status, rest = screen.end()
    assert status == 0
    assert rest.endswith("\x1b[?7h\x1b[?25h\x1b[?1049l")


def test_watch_through_a_pipe(ill):
    watch = subprocess.Popen([ill.ctl, "--socket", ill.control, "status", "--watch"], stdout=subprocess.PIPE,
                             text=True)
    try:
        found = 0
        while found < 2:
            line = watch.stdout.readline()
            assert "\x1b" not in line and line
            found += line == "2 of 3 streams are not well, store ok; 1 paused\n"
        watch.send_signal(signal.SIGINT)
        assert watch.wait(20) == 1
    finally:
        watch.kill()
        watch.wait()
        watch.stdout.close()


def test_watch_as_json_and_its_reader_goes(chat):
    command = f"{chat.ctl} --socket {chat.control} --json status --watch | head -n 2"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(json.loads(line)["well"] for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == 2


def test_tail_ends_when_its_reader_does(chat, service):
    """At once, though no further event comes that could not be printed."""
    service.publish(1)
    command = f"{chat.ctl} --socket {chat.control} tail --from oldest | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert " chat " in done.stdout


def test_errors_are_told(ill):
    done = run(ill, "send", "feed", "hello")
    assert done.returncode == 1
    assert done.stderr == "hawserctl: the stream is parked; nothing was sent (not_live)\n"
    done = run(ill, "--json", "send", "feed", "hello")
    assert done.returncode == 1 and json.loads(done.stdout)["error"] == "not_live"
    done = run(ill, "reconnect", "nobody")
    assert done.returncode == 1 and "(unknown_stream)" in done.stderr
    done = run(ill, "tail", "nobody")
    assert done.returncode == 1 and "(unknown_stream)" in done.stderr


def test_over_a_listener_without_rights(chat, service):
    service.publish(1)

    def over(*arguments):
        return subprocess.run([chat.ctl, *arguments, "--socket", chat.socket], capture_output=True, text=True,
                              timeout=60)

    assert over("status").returncode == 0
    assert " chat " in over("tail", "--from", "oldest", "--count", "1").stdout
    for command in (("pause", "chat"), ("send", "chat", "x"), ("consumers", "forget", "x")):
        done = over(*command)
        assert done.returncode == 1 and "(forbidden)" in done.stderr, command


@pytest.mark.parametrize("arguments,words", [
    ((), "no command"), (("stats",), "did you mean status"), (("status", "--wach"), "did you mean --watch"),
    (("status", "a", "b"), "too many arguments"), (("pause",), "something is missing"),
    (("tail", "--count", "0"), "--count takes"), (("tail", "--count"), "--count takes a value"),
    (("tail", "--ack"), "--ack is for a --consumer"), (("status", "--watch=1"), "takes no value"),
    (("tail", "-x"), "unknown option -x"),
    (("tail", "-n0"), "--count takes"), (("tail", "-nx"), "unknown option -nx"), (("consumers", "forget"), "after consumers"),
    (("explain", "6"), "close code"), (("explain", "3000-4999"), "range"),
])
def test_usage(hawser, arguments, words):
    done = run(hawser, *arguments)
    if arguments[:1] == ("explain",):
        hawser.write_config()
        done = run(hawser, *arguments, "--config", hawser.config)
    assert done.returncode == 2 and words in done.stderr, done.stderr


def test_help(hawser):
    assert "status" in run(hawser, "--help").stdout
    assert run(hawser, "tail", "--help").stdout.startswith("usage: hawserctl tail ")
    assert run(hawser, "--version").stdout.startswith("hawserctl ")
    assert run(hawser, "status").returncode == 3
    assert run(hawser, "--json", "status", "--watch", "--help").returncode == 0


# ---- explain ----

@pytest.fixture
def explain(feed, tmp_path):
    hawser = feed(EXPLAINED)
    (tmp_path / "generic.ini").write_text((ROOT / "conf" / "profiles" / "generic.ini").read_text())
    feed(EXPLAINED, name="strict", **{"close.4003": "retry 9s"})
    hawser.write_config()

    def ask(*arguments):
        done = run(hawser, "explain", *arguments, "--config", hawser.config)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return ask


def test_explain_for_a_service(explain):
    text = explain("4003", "--profile", "scripted")
    assert text.startswith("close 4003, of scripted\n")
    assert "  means   the account has no access to orders (its role lacks it)\n" in text
    assert "  hawser  parks: " in text
    assert "  do      ask for the role, or take another account\n" in text


def test_explain_for_a_stream_and_what_it_overrides(explain):
    text = explain("4003", "--stream", "strict")
    assert "  hawser  reconnects after the backoff: " in text and "; not before 9s\n" in text
    assert "  if      5 times within 5m: rests for 5m" in text


def test_explain_without_a_service(explain):
    text = explain("1008", "--json")
    end = json.loads(text)["ends"][0]
    assert end["action"] == "hold" and end["delay_ms"] == 300_000 and end["cause"] and end["fix"]
    assert end["flaps"] == [{"count": 3, "period_ms": 3_600_000, "action": "park", "delay_ms": 0}]
    for code in ("403", "dns", "timeout/upgrade", "tls/expired", "wrong_host", "none", "local/1001", "403/banned"):
        assert "  means   " in explain(code), code
    assert explain("timeout").count("  means   ") == 8


def test_explain_lists(explain):
    lines = explain("--profile", "scripted").splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [["4003", "park"], ["4010", "hold"]]
    every = [line.split()[0] for line in explain().splitlines()[1:]]
    assert {str(code) for code in range(1000, 1016)} <= set(every)
    assert {"401", "403", "429", "503", "tls", "timeout/dns"} <= set(every)
    assert len(every) == len(set(every))
