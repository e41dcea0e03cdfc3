"""README's examples, taken out of it and run as they stand: only /run/hawser and /etc/hawser are
this test's own directories, and hawserctl is told where they are."""

import json
import os
import re
import shlex
import shutil
import subprocess

import pytest
from hawser_test.hawserd import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = [[line[4:] for line in block.rstrip("\n").splitlines()]
          for block in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", README, re.MULTILINE)]
BLOCKS = [[line for line in block if line] for block in BLOCKS]


def the_block(mark):
    """The example, from the line on which begins so."""
    for block in BLOCKS:
        for number, line in enumerate(block):
            if line.startswith(mark):
                return block[number:]
    raise AssertionError(f"README has no example with {mark!r} any more")


def commands(*verbs):
    """All the example lines that begin with one of the commands, without their comments."""
    lines = [shlex.join(shlex.split(line, comments=True)) for block in BLOCKS for line in block
             if line.startswith(verbs)]
    assert lines, f"README has no example of {verbs} any more"
    return lines


class Shell:
    """Runs lines of README."""

    def __init__(self, hawser):
        self.hawser = hawser
        bin = hawser.directory / "bin"
        bin.mkdir()
        program = bin / "hawserctl"
        program.write_text(f"""#!/bin/sh
[ "$1" != check ] || set -- "$@" --config {shlex.quote(str(hawser.config))}
exec {shlex.quote(str(hawser.ctl))} --socket {shlex.quote(str(hawser.control))} "$@"
""")
        program.chmod(0o755)
        self.environment = {**hawser.env(), "PATH": f"{bin}:{os.environ['PATH']}"}

    def local(self, text):
        return text.replace("/run/hawser", str(self.hawser.runtime)) \
                   .replace("/etc/hawser", str(self.hawser.directory))

    def open(self, line):
        """A command that runs until it is left."""
        return subprocess.Popen(["bash", "-c", f"set -o pipefail; {self.local(line)}"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                env=self.environment, start_new_session=True)

    def run(self, line):
        done = subprocess.run(["bash", "-c", self.local(line)], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, env=self.environment, timeout=60)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout


def leave(process):
    os.killpg(process.pid, 9)
    process.wait()
    process.stdin.close()
    process.stdout.close()


def read_documents(process, count):
    """So many JSON documents, however many lines they take."""
    decoder, text, found = json.JSONDecoder(), "", []
    while len(found) < count:
        line = process.stdout.readline()
        assert line, (found, text)
        text = (text + line).lstrip()
        try:
            while text:
                value, end = decoder.raw_decode(text)
                found.append(value)
                text = text[end:].lstrip()
        except ValueError:
            pass
    return found


@pytest.fixture
def shell(hawser, service, ca):
    """The sockets of README's examples, and a stream `chat` of the service."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.sections["listen events"].update(send=True)
    hawser.sections["listen chat"] = {"path": hawser.runtime / "chat.sock", "protocol": "feed",
                                      "streams": "chat", "format": "payload"}
    hawser.sections["listen web"] = {"path": hawser.runtime / "web.sock", "protocol": "http"}
    hawser.start().wait_state("live")
    return Shell(hawser)


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


def members(line):
    """The names in a line of README, of which values may be cut short with an ellipsis."""
    return re.findall(r'[{,]"(\w+)":', line)


def converse(shell, block):
    """Says what README says to the program of its first line, and compares what it answers."""
    talk = block[1:] if block[0].startswith("$ ") else block
    program = block[0][2:] if block[0].startswith("$ ") else \
        "socat - UNIX-CONNECT:/run/hawser/events.sock"
    process = shell.open(program)
    seen = []
    try:
        if talk[0].startswith('{"op":'):
            process.stdout.readline()  # the greeting
        for line in talk:
            if line.startswith('{"op":'):
                if '"ack"' in line:  # of what has come
                    seen.append(json.loads(process.stdout.readline()))
                    line = re.sub(r'"seq":\d+', f'"seq":{seen[-1]["seq"]}', line)
                process.stdin.write(re.sub(r'"from":\d+', '"from":0', line) + "\n")
                process.stdin.flush()
                continue
            answer = json.loads(process.stdout.readline())
            while '"ok"' in line and "ok" not in answer:  # what README has left out: events
                seen.append(answer)
                answer = json.loads(process.stdout.readline())
            assert [name for name in members(line) if name in answer] and \
                answer.keys() >= {name for name in members(line) if name not in ("chat",)}, \
                (line, answer)
            seen.append(answer)
    finally:
        leave(process)
    return seen


def test_readme_socat(shell, service):
    need("socat")
    published = service.publish(3)
    shell.hawser.wait_status(lambda status: status["newest"] >= 3, "all of it")
    greeting, ok, event = converse(shell, the_block("$ socat"))
    assert greeting["hawser"] == 1 and ok["ok"] == "subscribe"
    assert event["id"] == published.ids[0]


def test_readme_named_consumer(shell, service):
    need("socat")
    service.publish(3)
    shell.hawser.wait_status(lambda status: status["newest"] >= 3, "all of it")
    block = the_block('{"op":"subscribe","consumer"')
    with shell.hawser.consumer() as consumer:  # a name begins at `now`, unless it is told
        name = json.loads(block[0])["consumer"]
        consumer.subscribe(consumer=name, **{"from": "oldest"})
    ok, event, *_, ack = converse(shell, block)
    assert ok["ok"] == "subscribe" and ack == {"id": 1, "ok": "ack"}
    rows = shell.hawser.request(op="consumers")["consumers"]
    assert [(row["consumer"], row["cursor"]) for row in rows] == [(name, event["seq"])]


def test_readme_feed(shell, service):
    need("nc", "jq")
    process = shell.open(the_block("$ nc ")[0][2:].replace("jq ", "jq --unbuffered "))
    try:
        service.flow(50)  # a feed begins at `now`: sooner or later it is there
        content = read_documents(process, 3)
        assert all("body" in one for one in content), content
    finally:
        leave(process)


def test_readme_curl(shell, service):
    need("curl")
    service.publish(3)
    block = the_block("$ curl")
    process = shell.open(block[0][2:])
    try:
        lines = []
        while not any(line.startswith("data: ") for line in lines):
            lines.append(process.stdout.readline().rstrip("\n"))
    finally:
        leave(process)
    ident, data = lines[-2:]
    assert re.fullmatch(r"id: [0-9a-f]{8}-\d+", ident) and \
        re.fullmatch(r"id: [0-9a-f]{8}-\d+", block[1])
    assert [name for name in members(data)][:2] == members(block[2])[:2] == ["seq", "stream"]


def test_readme_hawserctl(shell, service):
    service.publish(3)
    shell.hawser.wait_status(lambda status: status["newest"] >= 3, "all of it")
    with shell.hawser.consumer() as consumer:
        consumer.subscribe(consumer="mailer")
    for line in commands("hawserctl check", "hawserctl status", "hawserctl consumers",
                         "hawserctl profiles"):
        assert shell.run(line) is not None
    for line in commands("hawserctl tail --from", "hawserctl tail --consumer"):
        process = shell.open(line)
        try:
            assert "swp.room.message" in process.stdout.readline()
        finally:
            leave(process)


# ---- configuration ----

def ini_blocks(section):
    return [block for block in BLOCKS if block[0].startswith(f"[{section}")]


def sections(block):
    """[(header, {key: value})]"""
    found = []
    for line in block:
        if line.startswith("["):
            found.append((line.strip("[]"), {}))
        elif re.match(r"\S+ = ", line):
            key, _, value = line.partition(" = ")
            found[-1][1][key] = value
    return found


def test_readme_configuration(hawser):
    """All its sections together are a configuration without a fault."""
    profiles = hawser.directory / "profiles"
    profiles.mkdir()
    for path in (ROOT / "conf" / "profiles").glob("*.ini"):
        shutil.copy(path, profiles)
    hawser.sections["daemon"]["profile_dir"] = profiles
    shell = Shell(hawser)
    for name in ("chat-token", "chat-refresh-token"):
        hawser.secret(name)
    hawser.environment["CREDENTIALS_DIRECTORY"] = str(hawser.directory)
    hawser.secret("parlay-key")
    # What README shows of [auth] keeps the port's token in a credential of the reader's choice.
    for block in ini_blocks("listen") + ini_blocks("stream"):
        for header, keys in sections(block):
            hawser.sections.setdefault(header, {}).update(
                {key: shell.local(value) for key, value in keys.items()})
    status, out, err = hawser.check()
    assert status == 0, (out, err)
    assert {"stream chat", "stream nba", "listen events", "listen chat"} <= hawser.sections.keys()


def test_readme_profile(hawser):
    """The profile of one's own, as it stands."""
    profiles = hawser.directory / "profiles"
    profiles.mkdir()
    (block,) = ini_blocks("profile]")
    (profiles / "orders.ini").write_text("\n".join(block) + "\n")
    hawser.sections["daemon"]["profile_dir"] = profiles
    hawser.stream("orders", profile="orders", host="shop.example.com", token=f"file:{hawser.secret()}")
    status, out, err = hawser.check()
    assert status == 0, (out, err)
