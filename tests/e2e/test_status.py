"""What status tells of each stream, as JSON and as hawserctl prints it."""

import base64
import json
import re
import time

import pytest
from hawser_test.fakes.parlay import KEY, Parlay


def told(hawser, *arguments):
    """What hawserctl prints, whether or not all is well."""
    return hawser.hawserctl("status", *arguments, status=None)


def test_the_fallback_delivers(hawser, ca):
    parlay = Parlay(ca.localhost)
    try:
        key = hawser.secret("key", KEY)
        hawser.stream("odds", profile="parlay", host=parlay.host, sport="nba", api_key=f"file:{key}",
                      tls_ca=ca.cert, start="oldest", **{"fallback:sse.after": 1})
        parlay.refusal = (503, "", {})
        hawser.start()
        status = hawser.wait_status(lambda s: s["fallback"], "the fallback", stream="odds")
        assert status["state"] == "polling"
        status = hawser.wait_status(lambda s: "retry_in_ms" in s, "the next attempt", stream="odds")
        text = told(hawser)
        assert re.search(r"^odds: next: the fallback delivers; the WebSocket is tried in ", text, re.M)
        parlay.publish(3)
        hawser.wait_status(lambda s: s["stored"]["sse"] == 3, "three events", stream="odds")
        assert re.search(r"^odds +polling( +\S+){4} +3 ", told(hawser), re.M)
    finally:
        parlay.stop()


def test_the_limit_that_is_waited_for(feed, peer):
    hawser = feed(limits__connects="2/10m")
    hawser.start()
    for _ in range(2):
        hawser.wait_state("live", stream="feed")
        assert "waits_for" not in hawser.status("feed")
        peer.drop()
        hawser.wait_status(lambda s: s["state"] != "live", "the drop", stream="feed")
    status = hawser.wait_status(lambda s: "waits_for" in s, "the limit", stream="feed")
    assert "limits.connects: 2 of 2 in 10m" in status["waits_for"]
    assert status["state"] == "waiting"
    assert 0 < status["retry_in_ms"] <= 600_000
    assert f"feed: next: waits for a limit: {status['waits_for']}; then an attempt in " in told(hawser)


def test_a_second_link(feed, peer):
    hawser = feed(connect__parallel=2)
    hawser.start()
    hawser.wait_state("live", stream="feed")
    assert "successor" not in hawser.status("feed")
    peer.handshake_delay_s = 60
    peer.send({"type": "move", "url": f"wss://{peer.host}/ws"})
    status = hawser.wait_status(lambda s: "successor" in s, "the second link", stream="feed")
    assert re.fullmatch(r"[0-9a-f]{8}", status["successor"])
    assert status["state"] == "live" and status["successor"] != status["link"]
    assert re.search(rf"second: +{status['successor']}", told(hawser, "feed"))


def test_warnings_and_gaps(feed, peer):
    hawser = feed("[on odd]\nmatch = /type == \"odd\"\ndo = gap an odd message came\n")
    hawser.start()
    hawser.wait_state("live", stream="feed")
    assert "warning" not in hawser.status("feed")
    peer.send({"type": "move", "url": "wss://elsewhere.example/ws"})
    peer.send({"type": "odd"})
    status = hawser.wait_status(lambda s: "warning" in s and s["gaps"]["upstream"] == 1,
                                "a warning and a gap", stream="feed")
    assert "elsewhere.example" in status["warning"]
    assert status["warned_ms"] >= 0
    text = told(hawser)
    assert status["warning"] in text
    assert re.search(r"^feed: gaps: upstream 1$", text, re.M)


def token_that_expires(at_s):
    """A JWT, as far as hawser reads it."""
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    return f"{part({'alg': 'none'})}.{part({'exp': at_s})}.c2ln"


@pytest.mark.parametrize("left_s", [3500, -3600])
def test_when_the_token_expires(feed, peer, left_s):
    hawser = feed("[auth]\ntoken = token\n")
    assert hawser.secret("scripted", token_that_expires(int(time.time()) + left_s))
    hawser.start()
    status = hawser.wait_status(lambda s: "credential_expires_in_ms" in s, "it", stream="feed")
    if left_s < 0:
        assert status["credential_expires_in_ms"] == 0
        assert re.search(r"token: +has expired$", told(hawser), re.M)
    else:
        assert left_s - 120 < status["credential_expires_in_ms"] / 1000 <= left_s
        assert re.search(r"token: +expires in 5\dm", told(hawser))


def test_what_an_audit_found(feed, peer):
    hawser = feed(catchup__audit="1s")
    hawser.start()
    hawser.wait_state("live", stream="feed")
    # Until the link has shown an event, what requests find may be the rest of the catch-up.
    peer.publish(1)
    hawser.wait_status(lambda s: sum(s["stored"].values()) == 1, "an event", stream="feed")
    peer.fanout = False
    peer.publish(2)
    hawser.wait_status(lambda s: s["audited"] == 2, "the audit", stream="feed")
    assert "found 2 that the link did not bring" in told(hawser)
    lines = hawser.hawserctl("tail", "--from", "oldest", "--count", "3").splitlines()
    assert [line.split()[3] for line in lines][1:] == ["audit", "audit"]


def test_profiles_are_all_listed(hawser):
    hawser.write_config()
    listed = json.loads(hawser.hawserctl("--json", "profiles", "--config", hawser.config))
    names = {entry["profile"] for entry in listed["profiles"] if entry["ok"]}
    assert names >= {"generic", "home-assistant", "jetstream", "kraken", "nchan", "ntfy", "parlay",
                     "scaiwave"}
