"""hawserd's sockets, read by programs that know nothing of it: what anyone has at hand."""

import json
import os
import shutil
import signal
import subprocess
import textwrap
from contextlib import contextmanager

import pytest
from hawser_test.consumer import assert_same

REQUEST = '{"op":"subscribe","from":"oldest","notices":false}'


@pytest.fixture
def sockets(hawser, service, ca):
    """Five events are stored, on ndjson, two feeds and http."""
    run = hawser.runtime
    hawser.scaiwave(service, ca=ca, start="oldest")
    for name, section in {"payload": {"protocol": "feed", "format": "payload"},
                          "envelope": {"protocol": "feed"}, "web": {"protocol": "http"}}.items():
        hawser.sections[f"listen {name}"] = {"path": run / f"{name}.sock", **section}
        if section["protocol"] == "feed":
            hawser.sections[f"listen {name}"]["from"] = "oldest"
    hawser.start().wait_state("live")
    hawser.published = service.publish(5)
    hawser.wait_status(lambda status: status["newest"] >= 5, "all of it")
    return hawser


@contextmanager
def running(hawser, script, *needed, stdin=subprocess.DEVNULL):
    """A shell's line that goes on; $S is where the sockets are."""
    for program in needed:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    process = subprocess.Popen(["bash", "-c", textwrap.dedent(script)], text=True, stdin=stdin,
                               stdout=subprocess.PIPE, start_new_session=True,
                               env={**os.environ, "S": str(hawser.runtime), "REQUEST": REQUEST})
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def lines(process, count):
    found = [process.stdout.readline().rstrip("\n") for _ in range(count)]
    assert all(found), found
    return found


PROGRAMS = {
    # Half a conversation in a pipe: what has shut down its side goes on listening.
    "socat": 'echo "$REQUEST" | socat -t 1000 - UNIX-CONNECT:$S/events.sock | jq --unbuffered -r ".id // empty"',
    "nc": 'echo "$REQUEST" | nc -U $S/events.sock | jq --unbuffered -r ".id // empty"',
    "coproc": """
        coproc hawser { nc -U $S/events.sock; }
        echo "$REQUEST" >&${hawser[1]}
        while read -r line <&${hawser[0]}; do
            case $line in '{"seq":'*) jq -r .id <<<"$line" ;; esac
        done
        """,
    "perl": r"""
        perl -MIO::Socket::UNIX -e '
            $| = 1;
            $hawser = IO::Socket::UNIX->new(Peer => "$ENV{S}/events.sock") or die;
            $hawser->autoflush;
            print $hawser "$ENV{REQUEST}\r\n";
            while (<$hawser>) { print "$1\n" if /^\{"seq":\d+.*?"id":"(.*?)"/ }'
        """,
    "python": """
        exec /usr/bin/python3 - <<'END'
        import json, os, socket
        hawser = socket.socket(socket.AF_UNIX)
        hawser.connect(os.environ["S"] + "/events.sock")
        hawser.sendall(os.environ["REQUEST"].encode() + b"\\n")
        for line in hawser.makefile():
            event = json.loads(line)
            if "seq" in event:
                print(event["id"], flush=True)
        END
        """,
    "payload": "socat -u UNIX-CONNECT:$S/payload.sock - | jq --unbuffered -r .id",
    "envelope": "nc -d -U $S/envelope.sock | jq --unbuffered -r .data.id",
    "curl": """curl -sN --unix-socket $S/web.sock 'http://hawser/events?from=oldest&notices=no' |
        sed -un 's/^data: //p' | jq --unbuffered -r .id""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_F48_programs_at_hand(sockets, service, name):
    """What is stored, and what comes, each once and in order."""
    with running(sockets, PROGRAMS[name], "socat", "nc", "jq", "perl", "curl") as process:
        assert_same(lines(process, 5), sockets.published.ids)
        more = service.publish(50)
        assert_same(lines(process, 50), more.ids)


def test_F48_a_shell_acknowledges(sockets, service):
    """A name, a cursor that the shell moves, and a new shell that goes on behind it."""
    script = """
        coproc hawser { nc -U $S/events.sock; }
        echo '{"op":"subscribe","consumer":"shell","from":"FROM","notices":false}' >&${hawser[1]}
        while read -r line <&${hawser[0]}; do
            seq=$(jq -r 'select(.stream) | .seq' <<<"$line")
            [ "$seq" ] || { jq -r 'select(.ok == "ack") | "acknowledged"' <<<"$line"; continue; }
            jq -r .id <<<"$line"
            [ "$seq" != LAST ] || echo '{"op":"ack","seq":LAST,"id":"x"}' >&${hawser[1]}
        done
        """
    first = script.replace("FROM", "oldest").replace("LAST", "3")
    with running(sockets, first, "nc", "jq") as process:
        got = lines(process, 6)
        assert "acknowledged" in got
        assert_same([line for line in got if line != "acknowledged"], sockets.published.ids)
    with running(sockets, script.replace("FROM", "cursor").replace("LAST", "0"), "nc", "jq") as process:
        assert_same(lines(process, 2), sockets.published.ids[3:])


def test_F48_curl_resumes(sockets, service):
    """As a script does that is started again: it remembers the last id it has seen."""
    script = "curl -sN --unix-socket $S/web.sock -H \"Last-Event-ID: LAST\" " \
             "'http://hawser/events?from=oldest&notices=no'"
    got, last = [], ""
    for round in range(4):
        event = {}
        with running(sockets, script.replace("LAST", last), "curl") as process:
            while len(got) < 5 + 7 * round:
                line = process.stdout.readline().rstrip("\n")
                name, _, value = line.partition(": ")
                event[name] = value
                if line == "" and "data" in event:  # whole: only now it counts
                    got.append(json.loads(event["data"])["id"])
                    last = event["id"]
                    event.clear()
        published = service.publish(7)
    assert_same(got, [f"evt-{n}" for n in range(int(got[0][4:]), int(published.ids[0][4:]))])
