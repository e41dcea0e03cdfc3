"""What hawserd tells the service manager, and the sockets that it hands over; without a real one."""

import os
import signal
import socket
import threading

import pytest
from hawser_test.consumer import Consumer, assert_same
from hawser_test.disk import Disk
from hawser_test.hawserd import wait_until
from hawser_test.manager import Manager


@pytest.fixture
def manager(hawser):
    manager = Manager(hawser)
    yield manager
    manager.close()


@pytest.fixture
def watchdog(hawser):
    manager = Manager(hawser, watchdog_us=300_000)
    yield manager
    manager.close()


def ready(words):
    return words.get("READY") == "1"


def start(hawser, manager):
    manager.prepare()
    hawser.spawn()
    return manager.wait(ready, "READY")


def stop(hawser, manager):
    hawser.stop()
    manager.wait(lambda words: words.get("STOPPING") == "1", "STOPPING")


def unix_listener(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(64)
    return listener


def test_F56_ready_means_that_it_accepts(hawser, manager):
    start(hawser, manager)
    with hawser.consumer() as consumer:
        assert consumer.greeting["hawser"] == 1


def test_F60_status_says_what_is_not_well(hawser, manager, service, ca):
    hawser.scaiwave(service, ca=ca)
    hawser.scaiwave(service, name="other", ca=ca)
    start(hawser, manager)
    manager.wait_status("2 streams live")
    hawser.hawserctl("pause", "other")
    manager.wait_status("1 of 2 streams live; other paused")
    service.down()
    said = manager.wait_status("0 of 2 streams live; chat ")["STATUS"]
    assert "other paused" in said and "\n" not in said
    for secret in hawser.secrets:
        assert secret not in said


def test_F56_watchdog_hears_of_a_loop_that_turns_and_of_no_other(hawser, watchdog):
    start(hawser, watchdog)

    def fed(words):
        return words.get("WATCHDOG") == "1"

    for _ in range(4):
        watchdog.wait(fed, "the watchdog to be fed")
    hawser.process.send_signal(signal.SIGSTOP)
    watchdog.listen(0.2)
    watchdog.heard.clear()
    watchdog.listen(1)
    assert not watchdog.heard
    hawser.process.send_signal(signal.SIGCONT)
    watchdog.wait(fed, "the watchdog to be fed again")


def test_F56_slow_disk_is_a_status_and_no_reason_to_be_killed(hawser, watchdog, service, ca):
    disk = Disk(hawser)
    assert disk.library.exists(), f"no {disk.library}: build all, not hawserd alone"
    hawser.scaiwave(service, ca=ca)
    start(hawser, watchdog)
    watchdog.wait_status("1 stream live")
    disk.order("slow 15000")  # each commit
    service.publish(5)
    watchdog.wait_status("store failing: ", timeout=60)
    for _ in range(10):
        watchdog.wait(lambda words: words.get("WATCHDOG") == "1", "the watchdog to be fed")
    disk.order("ok")
    watchdog.wait_status("1 stream live", timeout=60)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_F57_who_connects_during_a_restart_waits(hawser, manager, service, ca, how):
    hawser.scaiwave(service, ca=ca, start="oldest")
    start(hawser, manager)
    hawser.wait_state("live")
    assert sorted(name.split("/")[1] for name in manager.store) == ["control", "events"]
    before = os.stat(hawser.socket).st_ino
    stop(hawser, manager) if how == "stop" else hawser.kill()
    assert os.stat(hawser.socket).st_ino == before
    published = service.publish(20)
    waiting = socket.socket(socket.AF_UNIX)
    waiting.connect(str(hawser.socket))  # nobody accepts
    found = []

    def read():
        with Consumer(hawser.socket, timeout=60) as consumer:
            consumer.subscribe(**{"from": "oldest"})
            consumer.wait_events(20, timeout=60)
            found.extend(consumer.ids())

    reader = threading.Thread(target=read)
    reader.start()
    store = dict(manager.store)
    start(hawser, manager)
    reader.join(60)
    assert_same(found, published.ids)
    waiting.settimeout(30)
    assert b'"hawser":1' in waiting.recv(4096)
    waiting.close()
    assert os.stat(hawser.socket).st_ino == before
    assert manager.store == store, "each is kept once"


def test_F57_a_kept_socket_follows_the_configuration(hawser, manager):
    start(hawser, manager)
    stop(hawser, manager)
    kept = {name.split("/")[1]: name for name in manager.store}
    hawser.socket.unlink()  # not the same file any more
    hawser.sections["listen events"]["mode"] = "0600"
    start(hawser, manager)
    wait_until(lambda: manager.listen(0.1) is not None and kept["events"] not in manager.store,
               "the old socket to be given up")
    assert kept["control"] in manager.store
    assert hawser.socket.stat().st_mode & 0o777 == 0o600
    with hawser.consumer() as consumer:
        assert consumer.greeting
    stop(hawser, manager)
    hawser.sections["listen events"]["mode"] = "0666"
    start(hawser, manager)
    assert hawser.socket.stat().st_mode & 0o777 == 0o666
    stop(hawser, manager)
    del hawser.sections["listen events"]
    start(hawser, manager)
    wait_until(lambda: manager.listen(0.1) is not None and len(manager.store) == 1,
               "the listener's socket to go")


def test_F57_sockets_of_a_socket_unit(hawser, manager):
    tcp = socket.create_server(("127.0.0.1", 0))
    address = "127.0.0.1:%d" % tcp.getsockname()[1]
    elsewhere = hawser.directory / "elsewhere.sock"
    named, stranger = unix_listener(elsewhere), unix_listener(hawser.directory / "stranger.sock")
    by_path = unix_listener(hawser.directory / "feed.sock")
    manager.give("events", named)
    manager.give("hawserd.socket", by_path)
    manager.give("metrics", tcp)
    manager.give("nobody", stranger)
    hawser.sections["listen raw"] = {"path": hawser.directory / "feed.sock", "protocol": "feed"}
    hawser.sections["listen web"] = {"tcp": address, "protocol": "http"}
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(str(elsewhere))
        start(hawser, manager)
        waiting.settimeout(30)
        assert b'"hawser":1' in waiting.recv(4096)
    assert not hawser.socket.exists()
    assert [name.split("/")[1] for name in manager.store] == ["control"]
    hawser.wait_log("stranger.sock .nobody., which no .listen. section wants")
    with socket.create_connection(tcp.getsockname()) as web:
        web.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert web.recv(100).startswith(b"HTTP/1.1 200")
    stop(hawser, manager)
    assert elsewhere.exists(), "the socket unit's files are its own"
    for listener in (tcp, named, by_path, stranger):
        listener.close()


def test_F57_tcp_of_another_address_is_not_taken(hawser, manager):
    """What may be served there was judged by the address in the configuration."""
    tcp = socket.create_server(("127.0.0.1", 0))
    manager.give("web", tcp)
    hawser.sections["listen web"] = {"tcp": "127.0.0.1:0", "protocol": "http"}
    start(hawser, manager)
    hawser.wait_log(r"the service manager listens on 127.0.0.1:\d+ .web., which no")
    tcp.close()


def reload(hawser):
    hawser.write_config()
    return hawser.request(op="reload")


def greeted(path):
    with socket.socket(socket.AF_UNIX) as program:
        program.settimeout(30)
        program.connect(str(path))
        return b'"hawser":1' in program.recv(4096)


@pytest.fixture
def given(hawser, manager):
    """The socket of a socket unit for `events`, at another path than that of the configuration."""
    path = hawser.directory / "elsewhere.sock"
    with unix_listener(path) as listener:
        manager.give("events", listener)
        start(hawser, manager)
        yield path


def test_F57_reload_takes_a_given_socket_away_and_brings_it_back(hawser, given):
    section = hawser.sections.pop("listen events")
    with Consumer(given) as consumer:
        assert reload(hawser) == {"ok": "reload", "changed": ["listen events: removed"]}
        consumer.wait_notice(notice="bye")
    hawser.wait_log(r"listens on .*elsewhere.sock .events., which no .listen. section wants")
    assert given.exists()
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.settimeout(30)
        waiting.connect(str(given))  # nobody accepts
        hawser.sections["listen events"] = section
        assert reload(hawser)["changed"] == ["listen events: added"]
        assert b'"hawser":1' in waiting.recv(4096)
    assert not hawser.socket.exists()


def test_F57_reload_leaves_a_given_socket_to_its_name(hawser, given):
    """As a restart would: of a socket unit's socket the path in the configuration says nothing."""
    hawser.sections["listen events"]["path"] = hawser.directory / "moved.sock"
    with Consumer(given) as consumer:
        assert reload(hawser)["changed"] == ["listen events: changed (path)"]
        assert not (hawser.directory / "moved.sock").exists()
        for _ in range(20):
            assert greeted(given)
        consumer.subscribe()  # it is still there
    # One that fails leaves it where it was.
    hawser.sections["listen events"]["path"] = hawser.directory / "again.sock"
    hawser.sections["listen other"] = {"path": hawser.directory / "other.sock", "group": "no-such-group"}
    assert reload(hawser)["error"] == "bad_config"
    for _ in range(20):
        assert greeted(given)
    del hawser.sections["listen other"]
    assert reload(hawser)["changed"] == ["listen events: changed (path)"]
    assert greeted(given)
    assert not (hawser.directory / "again.sock").exists()


def test_F57_reload_finds_a_socket_that_nobody_wanted(hawser, manager):
    spare = unix_listener(hawser.directory / "spare.sock")
    manager.give("spare", spare)
    start(hawser, manager)
    hawser.wait_log("spare.sock .spare., which no .listen. section wants")
    # One by its address, without a socket at the manager's for the other.
    hawser.sections["listen feed"] = {"path": hawser.directory / "spare.sock", "protocol": "ndjson"}
    hawser.sections["listen own"] = {"path": hawser.directory / "own.sock"}
    assert reload(hawser)["changed"] == ["listen feed: added", "listen own: added"]
    inode = os.stat(hawser.directory / "spare.sock").st_ino
    assert greeted(hawser.directory / "spare.sock") and greeted(hawser.directory / "own.sock")
    wait_until(lambda: manager.listen(0.1) is not None and
               sorted(name.split("/")[1] for name in manager.store) == ["control", "events", "own"],
               "the new one's own socket to be kept")
    # Another name for it changes nothing of all this.
    hawser.sections["listen renamed"] = hawser.sections.pop("listen feed")
    reload(hawser)
    assert greeted(hawser.directory / "spare.sock")
    assert os.stat(hawser.directory / "spare.sock").st_ino == inode
    stop(hawser, manager)
    start(hawser, manager)
    assert greeted(hawser.directory / "spare.sock")
    assert os.stat(hawser.directory / "spare.sock").st_ino == inode
    spare.close()


def test_F57_mode_of_a_given_socket_is_the_units(hawser, given):
    os.chmod(given, 0o660)
    hawser.sections["listen events"]["mode"] = "0666"
    assert reload(hawser)["changed"] == ["listen events: changed (mode)"]
    hawser.wait_log("listen events: .*mode and group are those of its socket unit")
    assert given.stat().st_mode & 0o777 == 0o660
