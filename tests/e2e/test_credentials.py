"""Credentials that change, expire, rotate and get lost; where they come from."""

import json
import os
import signal
import stat
import time

import pytest
from hawser_test.consumer import assert_same
from hawser_test.hawserd import ROOT, wait_until

NEW = "a-brand-new-token"


@pytest.fixture
def rotating(hawser, service, ca):
    """hawserd with the profile of ScaiWave and refresh tokens; not yet started."""
    profiles = hawser.directory / "profiles"
    profiles.mkdir()
    text = (ROOT / "conf" / "profiles" / "scaiwave.ini").read_text()
    # So that a stream may have a refresh token alone.
    text = text.replace("secrets = token refresh_token=", "secrets = token= refresh_token=")
    (profiles / "scaiwave.ini").write_text(text)
    hawser.sections["daemon"]["profile_dir"] = profiles
    hawser.secret("refresh", "good-refresh")
    hawser.secrets |= {f"{kind}-{n}-secret" for kind in ("access", "refresh") for n in range(1, 9)}

    def add(name="chat", **settings):
        hawser.scaiwave(service, name=name, ca=ca, start="oldest",
                        **{"refresh_token": f"file:{hawser.directory}/refresh", **settings})
    add()
    hawser.add = add
    return hawser


def kept(hawser):
    return sorted((hawser.state / "credentials").glob("scaiwave-*"))


# ---- sources ----

def test_F13_a_file_replaced_by_rename_wakes_at_once(hawser, service, ca):
    service.set(tokens=[NEW])
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    hawser.wait_state("parked")
    other = hawser.secret("other", NEW)
    began = time.monotonic()
    os.rename(other, hawser.directory / "token")
    hawser.wait_state("live")
    # Polling would take seconds; the bound is generous all the same.
    assert time.monotonic() - began < 20
    assert "a secret's source has changed" in hawser.log()


def test_F13_a_mounted_secret_is_swapped(hawser, service, ca):
    """As Kubernetes does it: token -> ..data/token, ..data -> ..1, which a rename replaces."""
    mount = hawser.directory / "mount"
    for version, value in (("..1", "old-token"), ("..2", NEW)):
        (mount / version).mkdir(parents=True)
        (mount / version / "token").write_text(value + "\n")
        (mount / version / "token").chmod(0o600)
    (mount / "..data").symlink_to("..1")
    (mount / "token").symlink_to("..data/token")
    service.set(tokens=[NEW])
    hawser.scaiwave(service, ca=ca, start="oldest", token=f"file:{mount}/token")
    hawser.start()
    hawser.wait_state("parked")
    (mount / "..tmp").symlink_to("..2")
    os.rename(mount / "..tmp", mount / "..data")
    hawser.wait_state("live")


def program(hawser, text, name="get-token"):
    path = hawser.directory / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def test_exec_gives_the_token(hawser, service, ca):
    path = program(hawser, '[ -z "$HOME$USER$STATE_DIRECTORY" ] && [ "$1" = a ] && '
                           'test "$(ls /proc/self/fd | wc -l)" = 4 && echo good-token\n')
    hawser.scaiwave(service, ca=ca, start="oldest", token=f"exec:{path} a")
    hawser.start().wait_state("live")


def test_exec_is_asked_again_when_the_token_is_refused(hawser, service, ca):
    count = hawser.directory / "count"
    path = program(hawser, f"echo x >> {count}; if [ $(wc -l < {count}) = 1 ]; then echo old;"
                           " else echo good-token; fi\n")
    hawser.scaiwave(service, ca=ca, start="oldest", token=f"exec:{path}")
    hawser.start().wait_state("live")
    assert [d["authorised"] for d in service.stats()["dials"]] == [False, True]


@pytest.mark.parametrize("how", ["fails", "floods", "empty", "missing"])
def test_exec_that_fails_is_said(hawser, service, ca, how):
    path = program(hawser, {"fails": "echo no >&2; exit 3\n", "floods": "cat /dev/zero\n",
                            "empty": "exit 0\n", "missing": ""}[how])
    if how == "missing":
        path.unlink()
    hawser.scaiwave(service, ca=ca, start="oldest", token=f"exec:{path}")
    hawser.start()
    status = hawser.wait_state("parked")
    assert {"fails": "exit status 3", "floods": "more than 65536 bytes", "empty": "is empty",
            "missing": "no such file"}[how] in status["reason"]
    assert service.stats()["dials"] == []


def test_exec_leaves_nobody_behind(hawser, service, ca):
    pid = hawser.directory / "pid"
    path = program(hawser, f"sleep 1000 & echo $! > {pid}; echo good-token\n")
    hawser.scaiwave(service, ca=ca, start="oldest", token=f"exec:{path}")
    hawser.start().wait_state("live")
    number = int(pid.read_text())

    def gone():
        try:
            with open(f"/proc/{number}/stat", encoding="ascii") as file:
                return file.read().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True
    wait_until(gone, "the grandchild to be gone")


def test_exec_that_is_slow_delays_only_its_own_stream(hawser, service, ca):
    go = hawser.directory / "go"
    path = program(hawser, f"while [ ! -e {go} ]; do sleep 0.05; done; echo good-token\n")
    hawser.scaiwave(service, ca=ca, start="oldest", token=f"exec:{path}")
    hawser.scaiwave(service, name="other", ca=ca, start="oldest")
    hawser.start()
    hawser.wait_state("live", stream="other")
    assert len(service.stats()["dials"]) == 1
    go.write_text("")
    hawser.wait_state("live")


# ---- refresh ----

def test_F14_refreshed_before_expiry_with_a_handover(rotating, service):
    service.set(refresh_ttl=12)
    rotating.add(token=None)
    rotating.start()
    rotating.wait_state("live")
    with rotating.consumer() as consumer:
        consumer.subscribe()
        published = service.publish(5)
        service.wait(lambda stats: len(stats["refreshes"]) >= 2, "a refresh ahead of expiry")
        service.wait(lambda stats: len(stats["links"]) >= 2, "the handover")
        published.ids += service.publish(5).ids
        consumer.wait_events(10)
        assert_same(consumer.ids(), published.ids)
    assert all(dial["authorised"] for dial in service.stats()["dials"])


def test_F15_one_refresh_for_all_who_share_it(rotating, service):
    service.set(tokens=["none"], refresh_delay_ms=300)
    rotating.add("other")
    rotating.start()
    rotating.wait_state("live", stream="chat")
    rotating.wait_state("live", stream="other")
    assert len(service.stats()["refreshes"]) == 1
    assert len(kept(rotating)) == 1


def test_F16_stored_before_use(rotating, service):
    service.set(tokens=["none"])
    rotating.start()
    rotating.wait_state("live")
    [path] = kept(rotating)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "asks 0" in path.read_text()
    for _ in range(2):
        rotating.kill()
        rotating.start()
        rotating.wait_state("live")
    # What was rotated is used on: the first refresh token would be refused.
    assert len(service.stats()["refreshes"]) == 1
    service.set(tokens=["none"])
    service.drop("close", code=4001, reason="expired")
    service.wait(lambda stats: len(stats["refreshes"]) == 2, "a refresh")
    rotating.wait_state("live")
    assert [r["token"] for r in service.stats()["refreshes"]] == ["good-refresh", "refresh-1-secret"]


def test_F16_killed_while_the_answer_is_on_its_way(rotating, service):
    """The intent is on disk, so the next life asks once more with the same token."""
    service.set(tokens=["none"], refresh_delay_ms=60000)
    rotating.start()
    service.wait(lambda stats: len(stats["refreshes"]) == 1, "a refresh")
    [path] = kept(rotating)
    assert "asks 1" in path.read_text()
    rotating.kill()
    service.set(refresh_delay_ms=0)
    rotating.start()
    rotating.hawserctl("reconnect", "chat", status=None)
    rotating.wait_state("live")
    assert len({r["token"] for r in service.stats()["refreshes"][:2]}) == 1
    assert "asks 0" in path.read_text()


def test_F16_a_lost_answer_is_asked_for_once_more(rotating, service):
    service.set(tokens=["none"], refresh_lose=1)
    rotating.start()
    rotating.wait_state("live")
    assert [r["token"] for r in service.stats()["refreshes"]] == ["good-refresh"] * 2


def test_F16_lost_twice_parks_until_somebody_signs_in(rotating, service):
    service.set(tokens=["none"], refresh_lose=2)
    rotating.start()
    status = rotating.wait_state("parked")
    assert "lost twice" in status["reason"]
    assert len(service.stats()["refreshes"]) == 2
    service.set(refresh_tokens=["another-refresh"])
    rotating.secret("refresh", "another-refresh")
    rotating.wait_state("live")


def test_F16_lost_twice_and_somebody_signs_in_while_stopped(rotating, service):
    """What was lost was about another token, so the next life asks with the new one at once."""
    service.set(tokens=["none"], refresh_lose=2)
    rotating.start()
    assert "lost twice" in rotating.wait_state("parked")["reason"]
    rotating.stop()
    service.set(refresh_tokens=["another-refresh"])
    rotating.secret("refresh", "another-refresh")
    rotating.start()
    rotating.wait_state("live")


def test_F13_a_refused_refresh_token_parks(rotating, service):
    service.set(tokens=["none"], refresh_tokens=["another-refresh"])
    rotating.start()
    rotating.wait_state("parked")
    assert len(service.stats()["refreshes"]) == 1
    rotating.secret("refresh", "another-refresh")
    rotating.wait_state("live")


def test_F13_the_refresh_token_changes_while_it_is_used(rotating, service):
    """Somebody signs in anew during a refresh that comes to nothing: it begins anew with the new one, and
    nobody is told that there is a fresh token before there is."""
    service.set(tokens=["none"], refresh_tokens=["another-refresh"], refresh_delay_ms=1000)
    rotating.start()
    service.wait(lambda stats: len(stats["refreshes"]) == 1, "the refresh")
    rotating.secret("refresh", "another-refresh")
    rotating.wait_state("live", "parked")
    assert [r["token"] for r in service.stats()["refreshes"]] == ["good-refresh", "another-refresh"]
    assert [dial["authorised"] for dial in service.stats()["dials"]] == [False, True]
    rotating.wait_state("live")


def test_F13_the_refresh_token_changes_twice(rotating, service):
    """The second time while the stream, woken by the first, is being refused for the token that it still has:
    that is to be refreshed, not tried once more."""
    service.set(tokens=["none"], refresh_tokens=["another-refresh"])
    rotating.start()
    rotating.wait_state("parked")
    service.set(refuse_delay_ms=1000)
    rotating.secret("refresh", "half-wri")
    service.wait(lambda stats: len(stats["dials"]) == 2, "a dial with the token that is no good")
    rotating.secret("refresh", "another-refresh")
    service.wait(lambda stats: len(stats["refreshes"]) == 2, "another refresh")
    rotating.wait_state("live")
    assert [r["token"] for r in service.stats()["refreshes"]] == ["good-refresh", "another-refresh"]
    assert [dial["authorised"] for dial in service.stats()["dials"]] == [False, False, True]


def test_a_changed_source_wins_over_what_is_kept(rotating, service):
    service.set(tokens=["none"])
    rotating.start()
    rotating.wait_state("live")
    rotating.stop()
    service.set(tokens=[NEW], refresh_tokens=[])
    rotating.secret("token", NEW)
    rotating.start()
    rotating.wait_state("live")
    assert len(service.stats()["refreshes"]) == 1


def test_what_is_kept_is_damaged(rotating, service):
    service.set(tokens=["none"])
    rotating.start()
    rotating.wait_state("live")
    rotating.stop()
    [path] = kept(rotating)
    path.write_bytes(path.read_bytes()[:-3])
    service.set(tokens=["good-token"])
    rotating.start()
    rotating.wait_state("live")
    assert "it is damaged" in rotating.log()


# ---- cookies and redirects ----

def test_F61_affinity_cookies_go_back(hawser, service, ca):
    service.set(set_cookie="pod=a7; Path=/; HttpOnly; Secure")
    service.publish(3)
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")
    service.drop("rst")
    service.wait(lambda stats: len(stats["links"]) == 2, "a second link")
    hawser.wait_state("live")
    stats = service.stats()
    assert [d["headers"].get("Cookie") for d in stats["dials"]] == [None, "pod=a7"]
    assert {sync["cookie"] for sync in stats["syncs"]} == {"pod=a7"}


def test_F61_a_refusal_sets_the_cookie_that_is_needed(hawser, service, ca):
    service.set(set_cookie="pod=a7", need_cookie="pod=a7")
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")
    assert [d["headers"].get("Cookie") for d in service.stats()["dials"]] == [None, "pod=a7"]


def test_a_handshake_is_redirected(hawser, service, ca):
    service.set(handshake={"status": 307, "path": "/v1/stream", "headers": {
        "Location": "/moved/1/stream?token=other&node=3"}})
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")
    first, second = service.stats()["dials"]
    assert (first["path"], second["path"]) == ("/v1/stream", "/moved/1/stream")
    assert second["authorised"] and second["query"] == ["node", "token"]


def test_sync_is_redirected(hawser, service, ca):
    service.publish(3)
    service.set(sync_answer={"status": 302, "path": "/v1/sync", "headers": {
        "Location": "/moved/1/sync"}})
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(3)


@pytest.mark.parametrize("where,why", [
    ("https://elsewhere.example/x", "elsewhere.example"),
    ("http://127.0.0.1/x", "away from TLS"),
    ("/v1/stream", "more than 5 redirects"),
])
def test_redirects_that_are_not_followed(hawser, service, ca, where, why):
    service.set(handshake={"status": 302, "headers": {"Location": where}})
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    status = hawser.wait_status(lambda s: "redirect not followed" in s.get("reason", ""), "it")
    assert why in status["reason"]
    assert len(service.stats()["dials"]) <= 6 * 2
