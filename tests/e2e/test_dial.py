"""From a name to a connection, where something on the way is dead: resolver (F07), one address
family (F08), the peer in the middle of a handshake (F09)."""

import shutil
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from hawser_test.raw import RawServer
from test_network import FarService, namespaces, run, within  # noqa: F401

OURS, FAR, FAR6, OTHER = "192.0.2.5", "192.0.2.1", "2001:db8::1", "192.0.2.9"


class Resolver:
    """A DNS server on UDP. answers: {name: {1: [addresses], 28: [addresses]}}; a name that is not in
    it does not exist, and while `silent` nothing is answered at all."""

    def __init__(self, namespace, silent=False):
        self.silent = silent
        self.answers = {}
        with within(namespace):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((FAR, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            while True:
                query, peer = self.socket.recvfrom(4096)
                answer = self.answer(query)
                if answer:
                    self.socket.sendto(answer, peer)
        except OSError:
            pass  # stopped

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, kind = ".".join(labels).lower(), struct.unpack(">H", query[at + 1 : at + 3])[0]
        if self.silent:
            return None
        records = [struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(packed)) + packed
                   for address in self.answers.get(name, {}).get(kind, [])
                   for packed in [socket.inet_pton(socket.AF_INET if kind == 1 else socket.AF_INET6, address)]]
        flags = 0x8180 if name in self.answers else 0x8183  # NXDOMAIN
        head = query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0)
        return head + query[12 : at + 5] + b"".join(records)

    def stop(self):
        self.socket.close()


@pytest.fixture
def etc(namespaces):  # noqa: F811
    """Files that hawserd sees in place of /etc's: ip-netns(8) puts them there."""
    ours, far = namespaces
    directory = Path("/etc/netns") / ours
    directory.mkdir(parents=True)
    (directory / "nsswitch.conf").write_text("hosts: files dns\n")
    (directory / "hosts").write_text("127.0.0.1 localhost\n")
    (directory / "resolv.conf").write_text(f"nameserver {FAR}\noptions timeout:2 attempts:1\n")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def resolver(namespaces, etc):  # noqa: F811
    server = Resolver(namespaces[1])
    yield server
    server.stop()


@pytest.fixture
def far(namespaces, hawser, request):  # noqa: F811
    """The service on the other side, over both families; hawserd will start on ours."""
    ours, far = namespaces
    run("ip", "-n", ours, "addr", "add", "2001:db8::5/64", "dev", "up0", "nodad")
    run("ip", "-n", far, "addr", "add", f"{FAR6}/64", "dev", "up0", "nodad")
    service = FarService(far, address="::")
    hawser.wrapper = ["ip", "netns", "exec", ours]
    yield service
    service.stop()


def stream(hawser, service, name, host, **settings):
    base = f"{host}:{service.port}"
    hawser.scaiwave(service, name=name, start="oldest", plaintext="yes", **{
        "host": base, "connect.url": f"ws://{base}/v1/stream",
        "http:sync.url": f"http://{base}/v1/sync", **settings})


def test_F07_a_dead_resolver_holds_up_nobody(hawser, far, resolver, etc):
    resolver.silent = True
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n{FAR} known.test\n")
    # More dead names than there were threads for, each tried again and again.
    dead = [f"dead{i}" for i in range(80)]
    for name in dead:
        stream(hawser, far, name, f"{name}.test", dns_timeout="500ms")
    stream(hawser, far, "chat", "known.test")
    hawser.sections["daemon"]["dial_rate"] = "1000/s"
    hawser.start()
    hawser.wait_state("live")
    for name in (dead[0], dead[-1]):
        hawser.wait_status(lambda status: "timeout in dns: resolve dead" in status.get("reason", ""),
                           "its name to be waited for in vain", stream=name)
    # The one with a name that is known: events, the store, another dial.
    with hawser.consumer() as consumer:
        consumer.subscribe()
        for _ in range(3):
            consumer.wait_id(far.publish(2).ids[-1])
            links = len(far.stats()["links"])
            far.drop("rst")
            far.wait(lambda stats: len(stats["links"]) > links, "another link")
            hawser.wait_state("live")


def test_F07_no_such_name_then_one_then_another_address(hawser, far, resolver, namespaces):  # noqa: F811
    stream(hawser, far, "chat", "chat.test")
    hawser.start()
    hawser.wait_log("dns: resolve chat.test: Name or service not known")
    resolver.answers["chat.test"] = {1: [FAR]}
    assert hawser.wait_state("live")["address"] == f"{FAR}:{far.port}"
    # Asked anew at every attempt: the service has moved.
    run("ip", "-n", namespaces[1], "addr", "add", f"{OTHER}/24", "dev", "up0")
    resolver.answers["chat.test"] = {1: [OTHER]}
    far.drop("rst")
    hawser.wait_status(lambda status: status.get("address") == f"{OTHER}:{far.port}", "the new address")
    hawser.wait_state("live")


def test_F07_a_resolver_that_comes_back(hawser, far, resolver):
    resolver.silent = True
    resolver.answers["chat.test"] = {1: [FAR]}
    stream(hawser, far, "chat", "chat.test", dns_timeout="300ms")
    hawser.start()
    hawser.wait_log("timeout in dns: resolve chat.test: no answer within 0.3 s")
    resolver.silent = False
    hawser.wait_state("live")


def silence(namespaces, *addresses):  # noqa: F811
    """What hawserd sends to these leaves for a machine that is not there; tells how many tried."""
    ours, far = namespaces
    with within(far):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    for address in addresses:
        run("ip", "-n", ours, "neigh", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", "up0",
            "nud", "permanent")
    wire.settimeout(0.2)
    wanted = [socket.inet_pton(socket.AF_INET6 if ":" in a else socket.AF_INET, a) for a in addresses]
    tried = set()

    def count():
        """Source ports seen so far: one a connection, however often its SYN is repeated."""
        while True:
            try:
                frame = wire.recv(2048)
            except TimeoutError:
                return len(tried)
            if frame[12:14] == b"\x86\xdd" and frame[20] == 6 and frame[38:54] in wanted:
                tried.add(frame[54:56])
            elif frame[12:14] == b"\x08\x00" and frame[23] == 6 and frame[30:34] in wanted:
                tried.add(frame[34:36])

    return count


def test_F08_one_family_is_dead_and_the_other_remembered(hawser, far, resolver, namespaces):  # noqa: F811
    count = silence(namespaces, FAR6)
    resolver.answers["chat.test"] = {28: [FAR6], 1: [FAR]}
    # With one address after the other this would be up in an hour.
    stream(hawser, far, "chat", "chat.test", tcp_timeout="10m", dns_timeout="10m")
    hawser.start()
    assert hawser.wait_state("live")["address"] == f"{FAR}:{far.port}"
    tried = count()
    assert tried > 0, "IPv6 comes first"
    for _ in range(3):
        links = len(far.stats()["links"])
        far.drop("rst")
        far.wait(lambda stats: len(stats["links"]) > links, "another link")
        hawser.wait_state("live")
    assert hawser.status("chat")["address"] == f"{FAR}:{far.port}"
    assert count() == tried, "the one that answered comes first now"


def test_F08_an_address_that_refuses(hawser, far, resolver):
    resolver.answers["chat.test"] = {28: ["2001:db8::5"], 1: [OURS, FAR]}
    stream(hawser, far, "chat", "chat.test")
    hawser.start()
    assert hawser.wait_state("live")["address"] == f"{FAR}:{far.port}"


def test_F08_each_address_is_in_the_error(hawser, far, resolver, namespaces):  # noqa: F811
    silence(namespaces, FAR6, OTHER)
    resolver.answers["chat.test"] = {28: ["2001:db8::5", FAR6], 1: [OURS, OTHER]}
    stream(hawser, far, "chat", "chat.test", tcp_timeout="700ms")
    hawser.start()
    port = far.port
    said = hawser.wait_log(r"tcp: no address answered: (.*?) \(")[1]
    for address in (f"[2001:db8::5]:{port}", f"[{FAR6}]:{port}", f"{OURS}:{port}", f"{OTHER}:{port}"):
        assert address in said
    assert said.count("connection refused") == 1 and said.count("no answer within 0.7 s") == 1


def test_F09_tcp_is_silent(hawser, far, resolver, namespaces):  # noqa: F811
    silence(namespaces, OTHER)
    resolver.answers["chat.test"] = {1: [OTHER]}
    stream(hawser, far, "chat", "chat.test", tcp_timeout="300ms")
    hawser.start()
    hawser.wait_log(rf"timeout in tcp: connect to {OTHER}:{far.port}: no answer within 0.3 s")


@pytest.fixture
def silent():
    """Takes connections and says nothing."""
    server = RawServer(lambda connection: threading.Event().wait(60))
    yield server
    server.stop()


def test_F09_tls_is_silent(hawser, silent, ca):
    hawser.scaiwave(silent, ca=ca, tls_timeout="300ms")
    hawser.start()
    hawser.wait_log(rf"timeout in tls: TLS handshake with 127.0.0.1:{silent.port}: "
                    "not finished within 0.3 s")


def test_F09_the_upgrade_is_silent(hawser, ca):
    server = RawServer(lambda connection: threading.Event().wait(60), ca.localhost)
    try:
        hawser.scaiwave(server, ca=ca, upgrade_timeout="300ms")
        hawser.start()
        hawser.wait_log(rf"timeout in upgrade: upgrade request to 127.0.0.1:{server.port}: "
                        "no answer within 0.3 s")
    finally:
        server.stop()


def test_F09_what_the_kernel_watches(hawser, service, ca):
    if not shutil.which("ss"):
        pytest.skip("needs ss(8)")
    hawser.scaiwave(service, ca=ca)
    hawser.start()
    hawser.wait_state("live")
    listed = subprocess.run(["ss", "-tnpoi", f"dport = :{service.port}"], check=True, text=True,
                            capture_output=True).stdout
    assert "timer:(keepalive," in listed, listed
