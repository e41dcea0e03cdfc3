"""A configuration that changes under a running hawserd (F58)."""

import json
import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest
from hawser_test.consumer import Closed, Consumer, assert_rising, assert_same
from hawser_test.hawserd import Hawserd, wait_until


def reload(hawser, status=0):
    """Writes the configuration and asks for it; what has changed, or the errors."""
    hawser.write_config()
    reply = hawser.request(op="reload", id="r")
    assert reply["id"] == "r"
    if status == 0:
        assert reply.get("ok") == "reload", reply
        return reply["changed"]
    assert reply.get("error") == "bad_config", reply
    assert reply["detail"].endswith("nothing has been changed"), reply
    return reply["errors"]


def link_of(hawser, stream):
    return hawser.status(stream)["link"]


@contextmanager
def subscribed(hawser, path=None, **request):
    with Consumer(path or hawser.socket) as consumer:
        consumer.subscribe(**request)
        yield consumer


@pytest.fixture
def two(hawser, service, ca):
    """Two streams of the service, live: `chat` that is changed, and `still` that is not."""
    hawser.scaiwave(service, name="still", ca=ca, start="oldest")
    hawser.scaiwave(service, name="chat", ca=ca, start="oldest")
    hawser.start()
    hawser.wait_state("live", stream="still")
    hawser.wait_state("live")
    return hawser


def test_F58_nothing_has_changed(two):
    before = link_of(two, "still"), link_of(two, "chat")
    assert reload(two) == []
    two.config.write_text("# a comment is no change\n\n" + two.config.read_text())
    assert two.request(op="reload") == {"ok": "reload", "changed": []}
    assert (link_of(two, "still"), link_of(two, "chat")) == before
    assert two.hawserctl("reload") == "nothing has changed\n"


def test_F58_changed_stream_alone_begins_anew(two, service):
    with subscribed(two) as consumer:
        first = service.publish(20)
        consumer.wait_events(40)
        still, chat = link_of(two, "still"), link_of(two, "chat")
        two.sections["stream chat"]["heartbeat.idle"] = "33s"
        assert reload(two) == ["stream chat: begins anew (heartbeat.idle)"]
        second = service.publish(20)
        two.wait_state("live")
        consumer.wait_events(80)
        assert link_of(two, "still") == still
        assert link_of(two, "chat") != chat
        assert not [n for n in consumer.notices if n["stream"] == "still"]
        for stream in ("still", "chat"):
            assert_same(consumer.ids(stream), first.ids + second.ids)
        assert_rising(consumer.seqs)
        assert not consumer.gaps


def test_F58_broken_file_changes_nothing(two, service):
    still, chat = link_of(two, "still"), link_of(two, "chat")
    good = {name: dict(section) for name, section in two.sections.items()}
    two.sections["stream chat"].update({"heartbeat.idel": "33s", "token": "a-literal-token"})
    two.sections["listen events"]["mdoe"] = "0600"
    errors = reload(two, status=1)
    lines = two.config.read_text().splitlines()
    for key in ("heartbeat.idel", "token", "mdoe"):
        number = 1 + next(i for i, line in enumerate(lines) if line.startswith(key) and
                          ("literal" in line or key != "token"))
        assert any(error.startswith(f"{two.config}:{number}: ") for error in errors), (key, errors)
    assert any("did you mean" in error and "mode" in error for error in errors)
    assert "a-literal-token" not in json.dumps(errors)
    done = subprocess.run([two.ctl, "--socket", two.control, "reload"], env=two.env(),
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    for error in errors:
        assert error in done.stderr.splitlines()
    assert done.stdout == ""
    assert (link_of(two, "still"), link_of(two, "chat")) == (still, chat)
    two.sections = good
    assert reload(two) == []


def test_F58_stream_added_and_removed(two, service, ca):
    with subscribed(two, types=["*"]) as everything, subscribed(two, streams=["still"]) as still:
        service.publish(5)
        everything.wait_events(10)
        two.scaiwave(service, name="new", ca=ca, start="oldest")
        assert reload(two) == ["stream new: added"]
        two.wait_state("live", stream="new")
        published = service.publish(5)
        wait_until(lambda: two.status("new")["state"] == "live", "new")
        everything.wait(lambda: published.ids[-1] in everything.ids("new"), "the new stream's")
        assert [entry["stream"] for entry in two.status()["streams"]] == ["still", "chat", "new"]
        with subscribed(two, streams=["chat"]) as gone:
            del two.sections["stream chat"]
            assert reload(two) == ["stream chat: removed"]
            gone.wait_notice(notice="bye")
            gone.wait_close()
        assert [entry["stream"] for entry in two.status()["streams"]] == ["still", "new"]
        again = service.publish(5)
        still.wait(lambda: again.ids[-1] in still.ids("still"), "what goes on")
        everything.wait(lambda: again.ids[-1] in everything.ids("new"), "what goes on")
        assert again.ids[0] not in everything.ids("chat")
        # It comes back where it was.
        two.scaiwave(service, name="chat", ca=ca, start="oldest")
        assert reload(two) == ["stream chat: added"]
        two.wait_state("live")
        everything.wait(lambda: again.ids[-1] in everything.ids("chat"), "what it missed")
        ids = everything.ids("chat")
        assert len(ids) == len(set(ids))
        assert_rising(everything.seqs)


@pytest.mark.seconds(240)
def test_F58_twenty_reloads_under_load(two, service):
    """Each event of both streams once and in order, of the one that is changed each time, too."""
    still = link_of(two, "still")
    with subscribed(two) as consumer, subscribed(two, consumer="named", window=10000) as named:
        service.flow(200)
        for number in range(20):
            two.sections["stream chat"]["heartbeat.idle"] = f"{40 + number}s"
            two.sections["stream chat"]["tag.round"] = str(number)
            changed = reload(two)
            assert changed == ["stream chat: begins anew (tag.round, heartbeat.idle)"], changed
            two.wait_state("live")
        service.flow(0)
        last = service.publish(1).ids[-1]
        for reader in (consumer, named):
            for stream in ("still", "chat"):
                reader.wait(lambda: last in reader.ids(stream)[-1:], f"the last of {stream}", 60)
            ids = reader.ids("still")
            assert_same(reader.ids("chat"), ids)
            assert len(ids) == len(set(ids))
            assert not reader.gaps
            assert_rising(reader.seqs)
            assert not [n for n in reader.notices if n.get("stream") == "still"]
        tags = [e.get("tag.round") for e in consumer.events if e["stream"] == "chat"]
        assert tags[-1] == "19"
    assert link_of(two, "still") == still
