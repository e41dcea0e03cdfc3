"""Completion: what hawserctl offers, and that each shell takes it."""

import os
import re
import shutil
import subprocess
import time

import pytest
from hawser_test.hawserd import ROOT
from hawser_test.screen import Screen, plain

SCRIPTS = ROOT / "packaging" / "completion"


@pytest.fixture
def shell(feed, tmp_path):
    """A running hawserd with streams and consumers, and a hawserctl on the PATH that knows its socket."""
    hawser = feed()
    feed(name="orders")
    feed(name="other.one")
    hawser.start()
    for name in ("mailer", "web@intranet:1"):
        with hawser.consumer() as consumer:
            consumer.ask(op="subscribe", consumer=name)
    program = tmp_path / "bin" / "hawserctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{hawser.ctl}" --socket "{hawser.control}" "$@"\n')
    program.chmod(0o755)
    hawser.environment["PATH"] = f"{program.parent}:/usr/bin:/bin"
    return hawser


def offered(hawser, *words):
    done = subprocess.run(["hawserctl", "complete", *words], capture_output=True, text=True, env=hawser.env())
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def test_what_is_offered(shell):
    assert offered(shell, "st") == ["status"]
    assert offered(shell, "--socket", shell.control, "res") == ["resume"]
    assert {"status", "tail", "explain"} <= set(offered(shell, "")) and "complete" not in offered(shell, "")
    assert offered(shell, "pause", "o") == ["orders", "other.one"]
    assert offered(shell, "pause", "orders", "") == []
    assert offered(shell, "tail", "orders", "f") == ["feed"]
    assert offered(shell, "tail", "--from", "") == ["now", "oldest", "cursor"]
    assert offered(shell, "tail", "--consumer", "m") == ["mailer"]
    assert offered(shell, "tail", "--f") == ["--from"]
    assert offered(shell, "consumers", "") == ["forget", "seek"]
    assert offered(shell, "consumers", "seek", "") == ["mailer", "web@intranet:1"]
    assert offered(shell, "consumers", "seek", "mailer", "") == ["oldest", "newest"]
    assert offered(shell, "explain", "--config", shell.config, "--profile", "s") == ["scripted"]
    assert "1006" in offered(shell, "explain", "100") and "timeout/dns" in offered(shell, "explain", "t")
    assert offered(shell, "check", "--config", "") == [":file"]
    assert offered(shell, "no-such-command", "") == offered(shell, "")
    # Without a daemon, streams out of the configuration.
    shell.stop()
    assert offered(shell, "explain", "--config", shell.config, "--stream", "o") == ["orders", "other.one"]
    assert offered(shell, "consumers", "seek", "") == []
    shell.start()


BASH = r"""
. "$1"
while IFS= read -r COMP_LINE; do
    COMP_POINT=${#COMP_LINE} COMPREPLY=()
    _hawserctl hawserctl "${COMP_LINE##* }" ""
    printf '%s\n' "${COMPREPLY[*]}"
done
"""


def test_bash(shell, tmp_path):
    (tmp_path / "etcetera").write_text("")
    lines = {"hawserctl sta": "status", "hawserctl pause o": "orders other.one", "hawserctl pause x": "",
             "hawserctl consumers forget ": "mailer web@intranet:1",
             f"hawserctl check --config {tmp_path}/etc": f"{tmp_path}/etcetera", "hawserctl tail --from o": "oldest"}
    done = subprocess.run(["bash", "--norc", "-c", BASH, "bash", SCRIPTS / "hawserctl.bash"], text=True, timeout=60,
                          input="\n".join(lines) + "\n", capture_output=True, env=shell.env())
    assert done.stderr == ""
    assert done.stdout.splitlines() == list(lines.values())


def test_bash_with_the_tab_key(shell):
    """A real readline, whose word breaks are in the midst of names; with bash-completion, if it is there."""
    screen = Screen(["bash", "--norc", "-i"], env=shell.env(), columns=120)
    try:
        type_in(screen, ". /usr/share/bash-completion/bash_completion; "
                        f"PS1='' PS2=''; . {SCRIPTS / 'hawserctl.bash'}; echo re''ady\n")
        screen.wait("[\r\n]ready")
        type_in(screen, "hawserctl consumers forget web@\t")
        wait_plain(screen, "(web@|web@\x08@)intranet:1")
        type_in(screen, "\x01echo \x05\n")
        screen.wait("[\r\n]hawserctl consumers forget web@intranet:1")
        type_in(screen, "hawserctl consumers forget web@intranet:\t")
        wait_plain(screen, "web@intranet:1")
        type_in(screen, "\x15hawserctl resu\t")
        screen.wait("hawserctl resume ")
    finally:
        screen.close()


def type_in(screen, text):
    os.write(screen.fd, text.encode())


def test_zsh(shell):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    screen = Screen(["zsh", "-f", "-i"], env=shell.env(), columns=120)
    try:
        type_in(screen, f"PS1='' PS2='' RPS1=''; fpath=({SCRIPTS} $fpath); autoload -Uz compinit; "
                        "compinit -u -D; LISTMAX=1000; print re''ady\n")
        screen.wait("[\r\n]ready")
        type_in(screen, "hawserctl resu\t")
        screen.wait("hawserctl resume")
        type_in(screen, "o\t")
        wait_plain(screen, r"orders\s+other\.one|other\.one\s+orders")
        type_in(screen, "\x15hawserctl consumers forget web@\t")
        wait_plain(screen, r"web@intranet:1")
    finally:
        screen.close()


def wait_plain(screen, pattern):
    deadline = time.monotonic() + 20
    while not re.search(pattern, plain(screen.raw)):
        assert time.monotonic() < deadline and screen.read(0.5), repr(screen.raw)
    screen.raw = ""


def test_fish(shell, tmp_path):
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    (tmp_path / "etcetera").write_text("")

    def ask(line):
        done = subprocess.run(["fish", "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"',
                               SCRIPTS / "hawserctl.fish", line], capture_output=True, text=True,
                              env={**shell.env(), "HOME": str(tmp_path)}, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return sorted(offer.split("\t")[0] for offer in done.stdout.splitlines())

    assert ask("hawserctl resu") == ["resume"]
    assert ask("hawserctl pause ") == ["feed", "orders", "other.one"]
    assert ask("hawserctl consumers forget web@") == ["web@intranet:1"]
    assert "--from" in ask("hawserctl tail --")
    assert ask(f"hawserctl check --config {tmp_path}/etc") == [f"{tmp_path}/etcetera"]
