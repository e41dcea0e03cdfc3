"""The store: who may open it, what is told when it cannot keep all, and a disk that is full."""

import os
import signal
import struct
import subprocess
import time

import pytest
from hawser_test.consumer import Closed, assert_rising, assert_same
from hawser_test.hawserd import Hawserd, wait_until


def test_second_daemon_on_the_same_state(chat, service, ca):
    other = Hawserd(build=chat.build)
    try:
        other.scaiwave(service, ca=ca)
        other.sections["daemon"]["state_dir"] = chat.state
        other.write_config()
        status, _, errors = other.run("--config", other.config)
        assert status == 1
        assert str(chat.state) in errors
        assert str(chat.process.pid) in errors
        assert chat.request(op="ping")["ok"] == "ping"
    finally:
        other.close()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def damage_dedup_row(path, seq, keys):
    """Flips a bit in the row of that many dedup keys that begins with that of the event of that
    seq; in each copy of the row, for pages that were replaced still hold it."""
    table = [0] * 256
    for i in range(256):
        crc = i
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table[i] = crc
    data = bytearray(path.read_bytes())
    found = 0
    size = 4 + 16 * keys
    start = 0xFFFFFFFF
    for byte in struct.pack("<QI", seq, 0):
        start = start >> 8 ^ table[(start ^ byte) & 0xFF]
    for at in range(0, len(data) - size, 2):
        crc = start
        for byte in data[at + 4 : at + size]:
            crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
        if struct.pack("<I", crc ^ 0xFFFFFFFF) == data[at : at + 4]:
            data[at + 10] ^= 1
            found += 1
    assert found > 0, "no such row"
    path.write_bytes(data)


def version_row(number):
    value = struct.pack("<I", number)
    return b"format" + struct.pack("<I", crc32c(b"format" + value)) + value


def store_file(hawser):
    return next(hawser.state.rglob("data.mdb"))


def test_state_of_a_newer_version(chat, service):
    service.publish(5)
    chat.wait_status(lambda status: sum(status["stored"].values()) == 5, "5 events")
    chat.stop()
    path = store_file(chat)
    data = path.read_bytes()
    assert version_row(2) in data
    path.write_bytes(data.replace(version_row(2), version_row(3)))
    newer = path.read_bytes()
    status, _, errors = chat.run("--config", chat.config)
    assert status == 1
    assert "newer" in errors
    assert path.read_bytes() == newer


def test_F47_damaged_record_is_noticed(chat, service):
    """A flipped bit never comes out as an event."""
    published = service.publish(5)
    chat.wait_status(lambda status: sum(status["stored"].values()) == 5, "5 events")
    chat.stop()
    path = store_file(chat)
    data = path.read_bytes()
    at = data.index(b'"body":"message 3 "')
    path.write_bytes(data[:at] + data[at:].replace(b"message 3 ", b"messagE 3 "))
    chat.start()
    chat.wait_state("live", "stalled", "waiting")
    with chat.consumer() as consumer:
        consumer.send(op="subscribe", **{"from": "oldest"})
        new = service.publish(1)
        consumer.wait_id(new.ids[0])  # what comes after the damage
        assert_same(consumer.ids(), published.ids[:2] + published.ids[3:] + new.ids)
    chat.wait_log("(?i)corrupt|damaged|checksum")


def test_F47_damaged_dedup_keys_stop_nothing(chat, service):
    for count in (1, 2, 3):  # each in a commit of its own, and their keys in one row
        service.publish(1)
        wait_until(lambda: chat.status()["store"]["newest"] == count, "an event")
    chat.stop()
    damage_dedup_row(store_file(chat), 1, 3)
    chat.start()
    chat.wait_log("dedup keys at seq 1 are damaged")
    chat.wait_state("live")
    new = service.publish(1)
    with chat.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait(lambda: new.ids[0] in consumer.ids(), "the new event")
        ids = consumer.ids()
        assert len(set(ids)) == 4
        # Only that of the damaged keys may come again, as was said.
        again = [x for i, x in enumerate(ids) if x in ids[:i]]
        assert again == ids[3 - len(again):3]


def sanitizer_leaves(hawser, *signals):
    """A sanitizer's own handler of them would end the process in its own way."""
    options = os.environ.get("ASAN_OPTIONS", "").split(":") + [f"handle_{s}=0" for s in signals]
    hawser.environment["ASAN_OPTIONS"] = ":".join(filter(None, options))


def test_F47_file_cut_short_under_a_running_daemon(chat, service):
    """It dies of it, and serves nothing wrong. What is left is looked at and refused, and a sound
    copy in its place is looked at and taken."""
    sanitizer_leaves(chat, "sigbus", "segv", "abort")
    published = service.publish(3000, size=600)
    wait_until(lambda: chat.status()["store"]["newest"] == 3000, "3000 events")
    chat.stop()
    path = store_file(chat)
    copy = path.read_bytes()
    chat.start()  # nothing is in memory any more
    chat.wait_state("live")
    os.truncate(path, 64 * 1024)
    with chat.consumer() as consumer:
        consumer.killed = True
        try:
            consumer.send(op="subscribe", **{"from": "oldest"})
            consumer.wait_events(3000)
        except (Closed, OSError):
            pass
        got = consumer.ids()
    assert_same(got, published.ids[:len(got)])
    status = chat.process.wait(30)
    chat.process = None
    assert len(got) < 3000 and status == -signal.SIGBUS
    for _ in range(2):
        status, _, errors = chat.run("--config", chat.config)
        assert status == 1
        assert "checking all of it, because of a death by SIGBUS" in errors
        assert "is used, and is outside of the file; nothing of it is served" in errors
    path.write_bytes(copy)
    chat.start().wait_state("live")
    assert "its pages are sound" in chat.log()
    with chat.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(3000)
        assert_same(consumer.ids(), published.ids)
    chat.restart()
    assert chat.log().count("its pages are sound") == 1


def settled(value, seconds=2.5):
    """A condition: value() has not changed for so long (retention looks every second)."""
    last = {"value": None, "since": 0}

    def condition():
        now = value()
        if now != last["value"]:
            last.update(value=now, since=time.monotonic())
        return time.monotonic() - last["since"] >= seconds

    return condition


def test_F42_F49_retention_is_a_gap(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest", retain_size="512K")
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        first = service.publish(10)
        consumer.wait_events(10)
        seen = consumer.seqs[-1]
    flood = service.publish(9000, size=700)
    hawser.wait_status(lambda status: sum(status["stored"].values()) == 9010, "the flood")
    status = hawser.request(op="status")
    wait_until(lambda: hawser.request(op="status")["store"]["oldest"] > seen + 1, "retention")
    # What is still in memory would be served from there, and nothing be missing.
    hawser.stop()
    hawser.start().wait_state("live")
    wait_until(settled(lambda: hawser.request(op="status")["store"]["oldest"]), "retention's end")
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": seen})
        gap = consumer.wait_gap("retention")
        assert gap["seq"] is None
        assert gap["stream"] == "chat"
        assert gap["from_seq"] == seen + 1
        consumer.wait_id(flood.ids[-1])
        assert_rising(consumer.seqs)
        # The gap stands before what is left, and says exactly what is missing.
        assert consumer.seqs[0] == gap["to_seq"] + 1
        assert_same(consumer.ids(), flood.ids[-len(consumer.ids()):])
        assert len(consumer.gaps) == 1
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_id(flood.ids[-1])
        assert consumer.gaps == []
    assert status["store"]["bytes"] < 64 << 20
    assert first.ids[0] not in consumer.ids()


def test_retain_age(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest", retain_age="1s")
    hawser.start().wait_state("live")
    service.publish(50)
    hawser.wait_status(lambda status: sum(status["stored"].values()) == 50, "50 events")
    wait_until(lambda: hawser.request(op="status")["store"]["oldest"] in (0, 51), "retention")
    # Seqs go on, though nothing is left, not even in memory after a restart.
    hawser.restart()
    hawser.wait_state("live")
    new = service.publish(1)
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(1)
        assert consumer.ids() == new.ids
        assert consumer.seqs[0] > 50


@pytest.fixture
def small_disk(hawser):
    """A file system of 3 MB for the state."""
    hawser.state.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3M", "tmpfs", hawser.state],
                           capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"cannot mount a small file system here: {mount.stderr.strip()}")
    yield hawser.state
    if hawser.process is not None:
        hawser.stop()
    subprocess.run(["umount", "-l", hawser.state], check=True)


def fill(disk, leave):
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    ballast.write_bytes(b"\0" * (free.f_bavail * free.f_frsize - leave))
    return ballast


def test_F47_disk_full_and_the_oldest_give_way(hawser, service, ca, small_disk):
    """The store works inside what it has: new events come, and what had to go is told as a gap."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        first = service.publish(100)
        consumer.wait_events(100)
        ballast = fill(small_disk, 128 * 1024)
        wanted = list(first.ids)
        for count in (150, 150, 3000):  # the last is more than the store can hold at once
            wanted += service.publish(count, size=600).ids
            consumer.wait_events(len(wanted))
        consumer.drain(0.3)
        assert_same(consumer.ids(), wanted)
        assert_rising(consumer.seqs)
        assert consumer.gaps == []
        seqs = consumer.seqs
    hawser.wait_log("the disk is full; the oldest events go before their time")
    assert "the oldest events go before their time" in hawser.request(op="status")["store"]["warning"]
    assert "; the disk is full; the oldest events go" in hawser.hawserctl("status")
    hawser.restart()  # so that nothing comes from memory
    with hawser.consumer() as late:
        late.subscribe(**{"from": seqs[0]})
        late.wait_id(wanted[-1])
        gap = late.wait_gap("retention")
        assert gap["from_seq"] == seqs[1]
        assert late.seqs == [seq for seq in seqs if seq > gap["to_seq"]]
    ballast.unlink()


def test_F47_disk_full_for_good_stalls_and_heals(hawser, service, ca, small_disk):
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        first = service.publish(100)
        consumer.wait_events(100)
        ballast = fill(small_disk, 64 * 1024)
        # Larger than all that is there: no retention makes room for it.
        more = service.publish(2, size=800_000)
        hawser.wait_log("(?i)full|no space|no room")
        assert hawser.status()["store"]["state"] == "failing"
        assert hawser.request(op="ping")["ok"] == "ping"
        hawser.wait_state("stalled", timeout=40)
        stats = service.wait(lambda stats: stats["closes"], "the link's end")
        assert stats["closes"][0]["code"] == 1001
        ballast.unlink()
        more.ids += service.publish(10).ids
        consumer.wait_events(112, timeout=60)
        consumer.drain(0.5)
        assert_same(consumer.ids(), first.ids + more.ids)
        assert_rising(consumer.seqs)


def test_F47_state_directory_that_cannot_be_written(hawser, service, ca):
    if os.geteuid() == 0:
        hawser.sections["daemon"]["state_dir"] = "/proc/hawser"
    else:
        hawser.sections["daemon"]["state_dir"] = "/hawser-state"
    hawser.scaiwave(service, ca=ca)
    hawser.write_config()
    status, _, errors = hawser.run("--config", hawser.config)
    assert status == 1
    assert "hawser" in errors


def test_files_are_private(chat, service):
    service.publish(1)
    chat.wait_status(lambda status: sum(status["stored"].values()) == 1, "an event")
    for path in [chat.state, *chat.state.rglob("*")]:
        mode = path.stat().st_mode & 0o077
        assert path == chat.state or mode == 0 or path.parent != chat.state and (
            path.parent.stat().st_mode & 0o077) == 0, (path, oct(mode))


def test_token_is_not_in_the_store(chat, service):
    service.publish(50)
    service.drop("rst")
    service.publish(50)
    chat.wait_status(lambda s: sum(s["stored"].values()) == 100, "100 events")
    chat.stop()
    for path in chat.state.rglob("*"):
        if path.is_file():
            assert b"good-token" not in path.read_bytes(), path


def test_fingerprint_change_starts_anew_after_a_gap(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")
    old = service.publish(20)
    hawser.wait_status(lambda status: sum(status["stored"].values()) == 20, "20 events")
    hawser.stop()
    hawser.scaiwave(service, ca=ca, start="oldest", tenant="tenant-1")
    hawser.start().wait_state("live")
    new = service.publish(1)
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_id(new.ids[0])
        assert [gap["reason"] for gap in consumer.gaps] == ["epoch"]
        assert_same(consumer.ids()[:20], old.ids)
        assert_rising([line["seq"] for line in consumer.events])


def test_small_store_takes_large_bursts(hawser, service, ca):
    """A commit is never larger than the store: the oldest go, and nothing fails."""
    hawser.sections["store"]["retain_size"] = "1M"
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        published = service.publish(3000, size=3000)
        consumer.wait_id("evt-4000", timeout=60)  # retention may overtake a slow reader, and says so
        missing = sum(gap["to_seq"] - gap["from_seq"] + 1 for gap in consumer.gaps)
        assert len(consumer.ids()) + missing == 3000
    assert hawser.status()["store"]["state"] == "ok"
    assert "trying to open it again" not in hawser.log()


def test_stream_names_come_and_go(hawser, service, ca):
    """More in all than the store has room for: each is forgotten when it has nothing left."""
    published = []
    hawser.sections["daemon"]["dial_rate"] = "1000/s"
    for start in range(0, 300, 75):
        hawser.sections = {name: section for name, section in hawser.sections.items()
                           if not name.startswith("stream ")}
        hawser.scaiwave(service, ca=ca, start="oldest")
        for number in range(start, start + 75):
            hawser.stream(f"s{number}", profile="generic", url="ws://127.0.0.1:1/",
                          backoff__steps="10s")
        hawser.start().wait_state("live")
        published += service.publish(10).ids
        with hawser.consumer() as consumer:
            consumer.subscribe(consumer="mailer", window=1000)  # of all streams
            consumer.wait_events(10)
            assert_same(consumer.ids(), published[-10:])
            assert consumer.ask(op="ack", seq=consumer.seqs[-1], id=1)["ok"] == "ack"
        hawser.wait_log(rf"s{start - 1}: .* forgotten" if start else "chat .*live")
        hawser.stop()
    hawser.start().wait_state("live")
    assert hawser.status("s299")["state"] != "live"
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(40)
        assert_same(consumer.ids(), published)
    listed = hawser.request(op="consumers")["consumers"]
    assert [(one["consumer"], one["lag"]) for one in listed] == [("mailer", 0)]


def test_store_too_small_for_its_streams(hawser):
    hawser.sections["store"]["retain_size"] = "1M"
    for number in range(40):
        hawser.stream(f"s{number}", profile="generic", url="ws://127.0.0.1:1/")
    hawser.write_config()
    status, _, errors = hawser.run("--config", hawser.config)
    assert status == 1
    assert "retain_size" in errors and "40 streams" in errors
