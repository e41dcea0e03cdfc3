"""A configuration that changes under a running hawserd (F58)."""

import json
import os
import signal
import socket
import subprocess
from contextlib import contextmanager

import pytest
from hawser_test.consumer import Closed, Consumer, assert_rising, assert_same
from hawser_test.disk import Disk
from hawser_test.hawserd import wait_until


def write(hawser):
    """As a careful editor does: hawserd may be reading it."""
    path = hawser.config
    hawser.config = path.with_suffix(".new")
    hawser.write_config()
    hawser.config = hawser.config.rename(path)


def reload(hawser, status=0):
    """Writes the configuration and asks for it; what has changed, or the errors."""
    write(hawser)
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


def assert_untouched(consumer, stream):
    """It may have caught up by itself; it has not lost its link, nor looked for another."""
    states = {n["state"] for n in consumer.notices if n.get("stream") == stream}
    assert states <= {"catching-up", "live"}, states


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
        assert_untouched(consumer, "still")
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


def test_F58_beside_a_store_that_fails(two, service, ca):
    """What needs no store is applied; what does is refused with the reason, whole, and can be had when
    the disk is well again."""
    two.stop()
    disk = Disk(two)
    two.start()
    two.wait_state("live", stream="still")
    two.wait_state("live")
    try:
        disk.order("eio 1")
        wanted = service.publish(5)
        wait_until(lambda: two.status()["store"]["state"] == "failing", "the store to fail", 40)
        two.sections["daemon"]["log"] = "info"
        assert reload(two) == ["daemon: changed (log)"]
        two.scaiwave(service, name="new", ca=ca, start="oldest")
        two.sections["daemon"]["log"] = "debug"
        [error] = reload(two, status=1)
        assert "the store takes nothing just now" in error, error
        assert [entry["stream"] for entry in two.status()["streams"]] == ["still", "chat"]
    finally:
        disk.order("ok")
    wait_until(lambda: two.status()["store"]["state"] == "ok", "the store to be well", 60)
    assert sorted(reload(two)) == ["daemon: changed (log)", "stream new: added"]
    with subscribed(two, **{"from": "oldest"}) as consumer:
        for stream in "still", "chat", "new":
            consumer.wait(lambda: wanted.ids[-1] in consumer.ids(stream), stream)
            assert_same(consumer.ids(stream), wanted.ids)


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
            assert_untouched(reader, "still")
        tags = [e.get("tag.round") for e in consumer.events if e["stream"] == "chat"]
        assert tags[-1] == "19"
    assert link_of(two, "still") == still


# ---- what cannot be, and what fails midway ----


def test_F58_needs_a_restart(two):
    before = link_of(two, "chat")
    two.sections["daemon"]["state_dir"] = two.directory / "other"
    two.sections["stream chat"]["heartbeat.idle"] = "33s"
    [error] = reload(two, status=1)
    assert error.startswith(f"{two.config}:2: state_dir of [daemon] cannot be changed"), error
    assert "restart it" in error
    assert link_of(two, "chat") == before
    # The environment's directory counts in any case.
    two.stop()
    two.environment["STATE_DIRECTORY"] = str(two.state)
    two.start()
    two.sections["daemon"]["state_dir"] = two.directory / "third"
    assert reload(two) == []


def test_F58_address_in_use_changes_nothing(two):
    """What is listened on last is what fails: all before it is undone."""
    before = link_of(two, "still"), link_of(two, "chat")
    taken = two.runtime / "taken.sock"
    new = two.runtime / "new.sock"
    with listening(taken):
        two.sections["stream chat"]["heartbeat.idle"] = "33s"
        two.sections["listen events"].update({"mode": "0600"})
        two.sections["listen fine"] = {"path": new}
        two.sections["listen taken"] = {"path": taken}
        two.sections["listen noone"] = {"path": two.runtime / "x.sock", "allow_users": "nobody-here"}
        errors = reload(two, status=1)
    assert any("another process is listening there" in error and ":" in error for error in errors), errors
    assert any("no user named nobody-here" in error for error in errors), errors
    assert not new.exists()
    assert two.socket.stat().st_mode & 0o777 == 0o660
    assert (link_of(two, "still"), link_of(two, "chat")) == before
    assert len(two.status()["streams"]) == 2
    del two.sections["listen noone"]
    taken.unlink()
    changed = reload(two)
    assert "listen fine: added" in changed and "listen taken: added" in changed, changed
    assert new.exists()
    assert two.socket.stat().st_mode & 0o777 == 0o600


@contextmanager
def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)
        yield server


# ---- who asks ----


def test_F58_two_ask_at_once_and_sighup(two):
    write(two)
    with two.consumer(control=True) as one, two.consumer(control=True) as other:
        two.sections["stream chat"]["heartbeat.idle"] = "33s"
        write(two)
        one.send(op="reload", id=1)
        one.send(op="ping", id=2)
        two.sections["stream chat"]["heartbeat.idle"] = "34s"
        write(two)
        other.send(op="reload", id=3)
        first, ping, second = one.reply(), one.reply(), other.reply()
        assert first["ok"] == "reload" and first["id"] == 1
        assert ping == {"ok": "ping", "id": 2}
        assert second["ok"] == "reload" and second["id"] == 3
        # Whoever asks last has what was written last, and both together no change twice.
        assert len(first["changed"]) + len(second["changed"]) in (1, 2)
    with two.consumer() as consumer:
        assert consumer.ask(op="reload")["error"] == "forbidden"
    two.wait_state("live")
    two.sections["daemon"]["log"] = "info"
    write(two)
    two.process.send_signal(signal.SIGHUP)
    two.wait_log(r"reload: daemon: changed \(log\)")
    logged = two.log().count(" debug ")
    two.status()
    assert two.log().count(" debug ") == logged
    two.sections["stream chat"]["log"] = "debug"
    two.sections["stream chat"]["nonsense"] = "1"
    write(two)
    two.process.send_signal(signal.SIGHUP)
    two.wait_log("reload: .*hawser.ini:[0-9]+: unknown key `nonsense`")
    two.wait_log("nothing has been changed")
    del two.sections["stream chat"]["nonsense"]
    before = link_of(two, "chat")
    assert reload(two) == ["stream chat: changed (log)"]
    assert link_of(two, "chat") == before
    two.request(op="reconnect", stream="chat")
    two.wait_log("debug +chat .*dialing")
    assert two.hawserctl("reload") == "nothing has changed\n"
    done = subprocess.run([two.ctl, "--socket", two.runtime / "none", "reload"], env=two.env(),
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 3


def test_F58_stop_during_a_reload(two, service):
    """A link that never says goodbye holds the reload up, and a stop is none the later."""
    two.sections["stream chat"]["heartbeat.idle"] = "33s"
    write(two)
    service.call("silence")
    with two.consumer(control=True) as control:
        control.send(op="reload")
        assert two.stop() < 8
        with pytest.raises(Closed):
            reply = control.reply()
            assert reply.get("error") == "internal" or reply.get("ok") == "reload"
            control.wait_close()
            raise Closed()


# ---- listeners ----


def test_F58_listeners(two, service):
    moved = two.runtime / "moved.sock"
    with subscribed(two) as reader, two.consumer() as other:
        published = service.publish(3)
        reader.wait_events(6)
        # Rights, and the clients stay.
        two.sections["listen events"].update({"control": True, "max_clients": 3, "mode": "0666"})
        inode = two.socket.stat().st_ino
        assert reload(two) == ["listen events: changed (mode, control, max_clients)"]
        assert two.socket.stat().st_ino == inode
        assert two.socket.stat().st_mode & 0o777 == 0o666
        assert other.ask(op="pause", stream="still")["ok"] == "pause"
        assert other.ask(op="resume", stream="still")["ok"] == "resume"
        two.wait_state("live", stream="still")
        with two.consumer(), pytest.raises((Closed, AssertionError)):
            with Consumer(two.socket) as fourth:
                assert fourth.greeting.get("error") != "too_many"
        # Moved, and they stay.
        two.sections["listen events"].update({"path": moved, "max_clients": 9})
        assert reload(two) == ["listen events: changed (path, max_clients)"]
        assert not two.socket.exists()
        published = service.publish(3)
        reader.wait(lambda: published.ids[-1] in reader.ids("still"), "the events")
        with Consumer(moved) as late:
            assert late.ask(op="ping")["ok"] == "ping"
            # Of what it shows some goes: who asked for that by name is told.
            with subscribed(two, moved, streams=["chat"]) as narrow:
                two.sections["listen events"]["streams"] = "sti*"
                assert reload(two) == ["listen events: changed (streams)"]
                bye = narrow.wait_notice(notice="bye")
                assert "no more" in bye["reason"]
                narrow.wait_close()
            seen = len(reader.ids("chat"))
            published = service.publish(3)
            reader.wait(lambda: published.ids[-1] in reader.ids("still"), "the events")
            assert len(reader.ids("chat")) == seen
            assert late.ask(op="ping")["ok"] == "ping"
            # Another protocol: they have to come back.
            two.sections["listen events"].update({"protocol": "feed", "control": False})
            assert reload(two) == ["listen events: changed (protocol, control)"]
            late.wait_notice(notice="bye")
            late.wait_close()
        reader.wait_notice(notice="bye")
        reader.wait_close()
    with socket.socket(socket.AF_UNIX) as feed:
        feed.settimeout(20)
        feed.connect(str(moved))
        lines = feed.makefile()
        service.flow(20)
        assert json.loads(lines.readline())["stream"] == "still"
        service.flow(0)
        del two.sections["listen events"]
        assert reload(two) == ["listen events: removed"]
        assert not moved.exists()
        rest = lines.read()
        assert '"bye"' in rest, rest


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")
def test_F58_users_that_lose_their_right(two):
    """One that is connected is told to go; root always may."""
    script = ("import os,socket,sys\nos.setgid(65534);os.setuid(65534)\n"
              "s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1])\n"
              "f=s.makefile('rw');f.readline();f.write('{\"op\":\"subscribe\"}\\n');f.flush()\n"
              "print('here',flush=True)\n"
              "for line in f: print(line,end='',flush=True)\n")
    two.sections["listen events"]["mode"] = "0666"
    assert reload(two) == ["listen events: changed (mode)"]
    two.runtime.chmod(0o755)
    with subprocess.Popen(["/usr/bin/python3", "-c", script, str(two.socket)],
                          stdout=subprocess.PIPE, text=True) as nobody, subscribed(two) as root:
        assert nobody.stdout.readline() == "here\n"
        two.sections["listen events"]["allow_users"] = "root"
        assert reload(two) == ["listen events: changed (allow_users)"]
        rest = nobody.stdout.read()
        assert "allow_users" in rest.splitlines()[-1], rest
        assert root.ask(op="ping")["ok"] == "ping"


# ---- the rest ----


def test_F58_what_changes_where_it_stands(two, service):
    """Retention, tags, rates and the store's bounds: no link is touched."""
    before = link_of(two, "still"), link_of(two, "chat")
    with subscribed(two) as consumer:
        service.publish(50, size=2000)
        consumer.wait_events(100)
        two.sections["stream chat"].update({"retain_size": "64K", "tag.team": "ops"})
        two.sections["daemon"].update({"dial_rate": "5/s", "dial_per_host": "2"})
        two.sections["store"].update({"retain_size": "64M", "deliver": "received",
                                      "commit_interval": "10ms", "consumer_expire": "1d"})
        changed = reload(two)
        assert changed == ["daemon: changed (dial_rate, dial_per_host)",
                           "store: changed (retain_size, commit_interval, deliver, consumer_expire)",
                           "stream chat: changed (retain_size, tag.team)"], changed
        published = service.publish(1)
        consumer.wait(lambda: published.ids[0] in consumer.ids("chat"), "a new event")
        assert [e for e in consumer.events if e["stream"] == "chat"][-1]["tag.team"] == "ops"
        two.sections["store"]["deliver"] = "stored"
        assert reload(two) == ["store: changed (deliver)"]
        published = service.publish(1)
        consumer.wait(lambda: published.ids[0] in consumer.ids("chat"), "a new event")
        assert_rising(consumer.seqs)

    assert two.status()["store"]["oldest"] == 1
    two.sections["stream still"]["retain_size"] = "64K"
    assert reload(two) == ["stream still: changed (retain_size)"]
    wait_until(lambda: two.status()["store"]["oldest"] > 10, "retention to take the oldest")
    assert (link_of(two, "still"), link_of(two, "chat")) == before


def test_F58_a_parked_stream_is_tried_again(two, service, ca):
    two.stop()
    two.scaiwave(service, name="chat", ca=ca, start="oldest",
                 token=f"file:{two.secret('bad', 'not-good')}", park_probe="never")
    two.start()
    two.wait_state("parked")
    assert reload(two) == []
    assert two.status("chat")["state"] == "parked"
    two.sections["stream chat"]["token"] = f"file:{two.secret('good', 'good-token')}"
    assert reload(two) == ["stream chat: begins anew (token)"]
    two.wait_state("live")


def test_F58_profiles_text(feed, peer, tmp_path):
    hawser = feed()
    hawser.start()
    hawser.wait_state("live", stream="feed")
    before = link_of(hawser, "feed")
    profile = tmp_path / "scripted.ini"
    profile.write_text("# a comment\n" + profile.read_text())
    assert reload(hawser) == []
    assert link_of(hawser, "feed") == before
    profile.write_text(profile.read_text() + "\n[backoff]\njitter = 0.3\n")
    assert reload(hawser) == ["stream feed: begins anew (its profile's text)"]
    hawser.wait_state("live", stream="feed")
    profile.write_text(profile.read_text() + "\n[backof]\njitter = 0.3\n")
    [error] = reload(hawser, status=1)
    assert error.startswith(str(profile)) and "backoff" in error, error


def test_F58_restart_finds_what_reload_left(two, service):
    """What was changed while it ran is what a restart finds: one more reload changes nothing."""
    with subscribed(two, consumer="c", **{"from": "oldest"}) as consumer:
        two.sections["stream chat"]["heartbeat.idle"] = "33s"
        reload(two)
        two.wait_state("live")
        published = service.publish(10)
        consumer.wait(lambda: published.ids[-1] in consumer.ids("chat") and
                      published.ids[-1] in consumer.ids("still"), "all")
        assert consumer.ask(op="ack", seq=consumer.seqs[-1], id=1)["ok"] == "ack"
    two.restart()
    two.wait_state("live")
    with subscribed(two, consumer="c") as consumer:
        more = service.publish(2)
        consumer.wait(lambda: more.ids[-1] in consumer.ids("chat"), "the rest")
        assert_same(consumer.ids("chat"), more.ids)
        assert not consumer.gaps
    assert reload(two) == []


def rss(hawser):
    with open(f"/proc/{hawser.process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


@pytest.mark.seconds(600)
def test_F58_memory_is_flat(two, service, ca):
    """HAWSER_RELOADS=1000 for the long form; each changes, adds and removes."""
    rounds = int(os.environ.get("HAWSER_RELOADS", "40"))
    sizes, descriptors = [], []
    with subscribed(two) as consumer:
        for number in range(rounds):
            two.sections["stream chat"]["heartbeat.idle"] = f"{40 + number % 2}s"
            if number % 2:
                two.scaiwave(service, name="guest", ca=ca, start="oldest")
                two.sections["listen more"] = {"path": two.runtime / "more.sock"}
            else:
                two.sections.pop("stream guest", None)
                two.sections.pop("listen more", None)
            reload(two)
            if number >= rounds // 4:
                sizes.append(rss(two))
                descriptors.append(len(os.listdir(f"/proc/{two.process.pid}/fd")))
        last = service.publish(1).ids[0]
        consumer.wait(lambda: last in consumer.ids("still"), "the last", 60)
    quarter = max(1, len(sizes) // 4)
    first, end = max(sizes[:quarter]), min(sizes[-quarter:])
    print(f"{rounds} reloads: {first} to {end} KiB, {min(descriptors)} to {max(descriptors)} descriptors")
    assert end < first * 1.15 + 4096, sizes
    assert max(descriptors[-quarter:]) <= max(descriptors[:quarter]) + 4, descriptors


def test_F58_stopped_while_a_slow_disk_opens_a_stream(chat):
    """The store's writer works for a stream that is gone by then: what it looks at is not the stream's."""
    chat.stop()
    disk = Disk(chat)
    chat.start()
    chat.wait_state("live")
    # The retention has to be written before it is looked at what is saved of the limits.
    chat.sections["stream chat"].update({"retain_age": "77h", "limits.connects": "100/1h",
                                         "limits.scope": "stream"})
    write(chat)
    disk.order("slow 2000")
    chat.process.send_signal(signal.SIGHUP)
    wait_until(lambda: chat.status("chat")["state"] == "starting", "the new one to be there", 40)
    chat.stop()
