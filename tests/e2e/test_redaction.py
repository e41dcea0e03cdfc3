"""Secrets: that the watch over all tests sees what it should, and what children and core files could show.

Each hawserd of each test is held against its secrets at its end (hawser_test.secrets); here are the cases that try
to make it say one.
"""

import base64
import json
import os
import re
import resource
import subprocess
import urllib.parse

import pytest

from hawser_test import secrets
from hawser_test.hawserd import wait_until

ODD = 'p"w/ä%+ \\token-of-many-kinds'


@pytest.mark.parametrize("form", [
    ODD, urllib.parse.quote(ODD, safe=""), urllib.parse.quote_plus(ODD), json.dumps(ODD),
    json.dumps(ODD, ensure_ascii=False), base64.b64encode(ODD.encode()).decode(),
    base64.b64encode(b"user:" + ODD.encode()).decode(), base64.urlsafe_b64encode(b"ab" + ODD.encode()).decode()])
def test_F59_the_watch_sees_each_form(form):
    known = {ODD: secrets.forms(ODD)}
    assert secrets.leak(f"GET /?t={form} HTTP/1.1".encode(), known)
    assert not secrets.leak(b"GET /?t=*** HTTP/1.1", known)


def test_F59_the_watch_fails_a_test(hawser, service, ca):
    """A secret that is in the log on purpose: as the name of a stream."""
    hawser.secrets.add("stream-secret")
    hawser.scaiwave(service, ca=ca, name="stream-secret")
    hawser.start()
    hawser.wait_log("stream-secret")
    hawser.stop()
    with pytest.raises(AssertionError, match="a secret in the log"):
        secrets.assert_kept(hawser)
    hawser.secrets.discard("stream-secret")


def test_F59_a_service_that_echoes(hawser, service, ca):
    """In close reasons, refusals and their bodies: each form of the token, and none of it is said."""
    token = "tok/en+with odd=characters"
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.secret("token", token)
    service.set(tokens=[token])
    hawser.start().wait_state("live")
    for form in (token, urllib.parse.quote(token, safe=""), base64.b64encode(b"x:" + token.encode()).decode()):
        links = hawser.status("chat")["links"]
        service.drop("close", code=4242, reason=f"no {form}")
        hawser.wait_status(lambda s, n=links: s["state"] == "live" and s["links"] > n, "a new link")
        assert "4242" in hawser.log()
        assert not secrets.leak(hawser.log().encode(), {token: secrets.forms(token)})
    assert "***" in hawser.log()


def test_F59_children_are_given_nothing(hawser, service, ca):
    """A program that is asked for one secret sees neither another one nor hawserd's environment."""
    out = hawser.directory / "child"
    program = hawser.directory / "program"
    program.write_text(f"#!/bin/sh\ncat /proc/$$/environ /proc/$$/cmdline >{out}.new\n"
                       f"ls -l /proc/self/fd >>{out}.new\nmv {out}.new {out}\necho good-token\n")
    program.chmod(0o755)
    hawser.environment["OTHER"] = "another-secret"
    hawser.secrets.add("another-secret")
    hawser.scaiwave(service, ca=ca, start="oldest", token=f"exec:{program}")
    hawser.stream("other", profile="scaiwave", host="127.0.0.1:1", token="env:OTHER")
    hawser.start().wait_state("live")
    text = wait_until(lambda: out.exists() and out.read_text(), "the program to be asked")
    assert "another-secret" not in text and "good-token" not in text
    assert "OTHER" not in text and "PATH=" not in text
    descriptors = re.findall(r" (\d+) -> (\S+)", text)
    assert len(descriptors) >= 3
    assert all(int(fd) <= 2 or "/proc/" in to for fd, to in descriptors), text


def test_F59_no_core_file(hawser, service, ca):
    """Not even where the limit allows one, and no other program of the user reads its memory."""
    hawser.scaiwave(service, ca=ca)
    hawser.start().wait_state("live")
    pid = hawser.process.pid
    status = open(f"/proc/{pid}/status", encoding="utf-8").read()
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0  # root's: it is not dumpable
    assert resource.prlimit(pid, resource.RLIMIT_CORE)[0] == 0, status
    if os.geteuid() == 0:
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "cat", f"/proc/{pid}/environ"],
                              check=False, capture_output=True)
        assert done.returncode != 0
