"""Through a proxy (F10): squid, tinyproxy, and what proxies answer instead of a tunnel."""

import contextlib

import pytest
from hawser_test.proxy import SQUID, SQUID_LOGIN, TINYPROXY, ScriptedProxy, Squid, Tinyproxy, available
from hawser_test.service import Service

PASSWORD = "pr0xy-p4ssword"
LOGIN = ("hawser", PASSWORD)
needs_squid = pytest.mark.skipif(not available(SQUID, SQUID_LOGIN), reason="no squid")
needs_tinyproxy = pytest.mark.skipif(not available(TINYPROXY), reason="no tinyproxy")


@contextlib.contextmanager
def running(proxy):
    try:
        yield proxy
    finally:
        proxy.stop()


def configure(hawser, service, ca, proxy, user=None, password=None, **settings):
    if password:
        settings["proxy_password"] = f"file:{hawser.secret('proxy-password', password)}"
    at = f"{user}@" if user else ""
    hawser.scaiwave(service, ca=ca, start="oldest", proxy=f"http://{at}127.0.0.1:{proxy.port}",
                    **settings)


def get_events(hawser, service):
    """Events come live, and after a cut those of the catch-up too."""
    hawser.wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        for _ in range(2):
            consumer.wait_id(service.publish(3).ids[-1])
            links = len(service.stats()["links"])
            service.drop("rst")
            service.wait(lambda stats: len(stats["links"]) > links, "another link")
            hawser.wait_state("live")


@needs_squid
def test_F10_squid_with_a_login(hawser, service, ca):
    with running(Squid(LOGIN)) as squid:
        configure(hawser, service, ca, squid, *LOGIN)
        hawser.start()
        get_events(hawser, service)
        assert hawser.status("chat")["address"] == f"127.0.0.1:{squid.port} (proxy)"
        hawser.stop()
        tunnels = squid.tunnels()
        # The links, and the catch-up's requests.
        assert len(tunnels) >= 4, tunnels
        assert set(tunnels) == {(200, service.host, "hawser")}


@needs_squid
def test_F10_a_wrong_password_holds_until_it_changes(hawser, service, ca):
    with running(Squid(LOGIN)) as squid:
        configure(hawser, service, ca, squid, "hawser", "not-the-password")
        hawser.start()
        status = hawser.wait_state("held")
        assert "status 407" in status["reason"] and "login was not accepted" in status["reason"]
        assert service.stats()["links"] == []
        hawser.secret("proxy-password", PASSWORD)
        hawser.wait_state("live")
        hawser.wait_log("the proxy's password has changed")


@needs_squid
def test_F10_a_login_is_wanted(hawser, service, ca):
    with running(Squid(LOGIN)) as squid:
        configure(hawser, service, ca, squid)
        hawser.start()
        status = hawser.wait_state("held")
        assert "it wants a login; set proxy = http://USER@HOST:PORT" in status["reason"]


@needs_squid
def test_F10_squid_forbids_the_port(hawser, service, ca):
    with running(Squid(denied=service.port)) as squid:
        configure(hawser, service, ca, squid)
        hawser.start()
        hawser.wait_log(rf"proxy: proxy 127.0.0.1:{squid.port} refuses CONNECT {service.host}: "
                        "status 403: ERROR: The requested URL could not be retrieved / ERR_ACCESS_DENIED")
        assert hawser.wait_state("waiting")["retry_in_ms"] >= 0


@needs_squid
def test_F10_the_service_behind_the_proxy_comes_back(hawser, service, ca):
    with running(Squid()) as squid:
        configure(hawser, service, ca, squid)
        service.down("refuse")
        hawser.start()
        hawser.wait_log("refuses CONNECT .*: status 503")
        service.up()
        hawser.wait_state("live")


@needs_tinyproxy
def test_F10_tinyproxy_with_a_login(hawser, service, ca):
    with running(Tinyproxy(LOGIN, service.port)) as tinyproxy:
        configure(hawser, service, ca, tinyproxy, *LOGIN)
        hawser.start()
        get_events(hawser, service)
        assert tinyproxy.log().count(f"CONNECT {service.host}") >= 4


@needs_tinyproxy
def test_F10_tinyproxy_forbids_the_port(hawser, service, ca):
    with running(Tinyproxy(port=1)) as tinyproxy:
        configure(hawser, service, ca, tinyproxy)
        hawser.start()
        hawser.wait_log("refuses CONNECT .*: status 403: .*")


# ---- what else proxies say ----

@pytest.mark.parametrize("answer, said", [
    (b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n",
     "status 407: it wants a login by NTLM; only Basic is understood"),
    (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 9\r\n\r\nno\x07 route", "status 502: no route"),
    (b"HTTP/1.1 302 Found\r\nLocation: https://evil.test/\r\nContent-Length: 0\r\n\r\n", "status 302"),
    (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "status 101"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "no answer that can be understood"),
    (b"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nhalf a body", "status 403: half a body"),
    (b"HTTP/1.1 200 OK\r\n", "connection closed in answer to CONNECT"),
], ids=["ntlm", "gateway", "redirect", "upgrade", "ssh", "cut", "half"])
def test_F10_refusals_are_said(hawser, service, ca, answer, said):
    with running(ScriptedProxy(answer=answer)) as proxy:
        configure(hawser, service, ca, proxy)
        hawser.start()
        hawser.wait_log(said)
        assert all(request["target"] == service.host for request in proxy.requests)


def test_F10_the_proxy_is_gone(hawser, service, ca):
    proxy = ScriptedProxy()
    proxy.stop()
    configure(hawser, service, ca, proxy)
    hawser.start()
    hawser.wait_log(rf"tcp: proxy 127.0.0.1:{proxy.port}: connect to 127.0.0.1:{proxy.port}: "
                    "connection refused")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 "], ids=["nothing", "half"])
def test_F09_the_proxy_is_silent(hawser, service, ca, answer):
    with running(ScriptedProxy(answer=answer, close=False)) as proxy:
        configure(hawser, service, ca, proxy, proxy_timeout="300ms")
        hawser.start()
        hawser.wait_log(rf"timeout in proxy: CONNECT {service.host} by 127.0.0.1:{proxy.port} "
                        r"\(proxy\): no answer within 0.3 s")


def test_F10_a_length_in_the_answer_means_nothing(hawser, service, ca):
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nContent-Length: 4000\r\n\r\n"
    with running(ScriptedProxy({"localhost": service.port}, head=head)) as proxy:
        configure(hawser, service, ca, proxy)
        hawser.start()
        hawser.wait_state("live")


# ---- where the proxy comes from ----

def test_F10_the_environment_and_a_name_that_only_the_proxy_knows(hawser, ca):
    with contextlib.ExitStack() as stack:
        service = Service(ca.issue("chat.test"))
        stack.callback(service.stop)
        proxy = stack.enter_context(running(ScriptedProxy({"chat.test": service.port})))
        hawser.secrets.add(PASSWORD)
        hawser.environment = {"HTTPS_PROXY": f"http://us%40er:{PASSWORD}@127.0.0.1:{proxy.port}/",
                              "NO_PROXY": "other.test, .chat.test,10.0.0.0/8,chat.test:1"}
        hawser.scaiwave(service, ca=ca, start="oldest", host=f"chat.test:{service.port}")
        hawser.start()
        get_events(hawser, service)
        assert {request["target"] for request in proxy.requests} == {f"chat.test:{service.port}"}
        assert {request["login"] for request in proxy.requests} == {f"us@er:{PASSWORD}"}


@pytest.mark.parametrize("settings, environment", [
    ({"proxy": "none"}, {}),
    ({}, {"no_proxy": "localhost"}),
    ({}, {}),
], ids=["none", "no_proxy", "loopback"])
def test_F10_past_the_proxy_of_the_environment(hawser, service, ca, settings, environment):
    with running(ScriptedProxy(answer=b"")) as proxy:
        hawser.environment = {"https_proxy": f"127.0.0.1:{proxy.port}", **environment}
        hawser.scaiwave(service, ca=ca, start="oldest", **settings)
        hawser.start()
        hawser.wait_state("live")
        assert proxy.requests == []


@pytest.mark.parametrize("value, said", [
    ("socks5h://127.0.0.1:1080", "SOCKS proxies are not understood"),
    ("https://127.0.0.1:1080", "TLS to the proxy itself is not understood"),
    (f"http://me%zz:{PASSWORD}@127.0.0.1:1080", "the user has a % without two hexadecimal digits"),
    ("http://127.0.0.1:port", "the port is a number from 1 to 65535"),
], ids=["socks", "tls", "user", "port"])
def test_F10_a_proxy_of_the_environment_that_is_none_parks(hawser, service, ca, value, said):
    """It stays what it is for as long as hawserd runs: no attempt can succeed. Who goes around it lives."""
    hawser.secrets.add(PASSWORD)
    hawser.environment = {"all_proxy": value}
    hawser.scaiwave(service, ca=ca, host="chat.test:443")
    hawser.scaiwave(service, "beside", ca=ca, start="oldest", proxy="none")
    hawser.start()
    reason = hawser.wait_state("parked")["reason"]
    assert f"config: proxy of the environment variable all_proxy: {said}" in reason
    assert "systemctl edit hawserd" in reason
    hawser.wait_state("live", stream="beside")
    assert hawser.status("chat")["attempts"] <= 1


def test_F10_a_password_that_cannot_be_read_parks(hawser, service, ca):
    with running(ScriptedProxy({"localhost": service.port})) as proxy:
        missing = hawser.directory / "missing"
        configure(hawser, service, ca, proxy, user="me", proxy_password=f"file:{missing}")
        hawser.start()
        assert "proxy_password: secret" in hawser.wait_state("parked")["reason"]
        hawser.secret("missing", PASSWORD)
        hawser.wait_state("live")
        assert proxy.requests[0]["login"] == f"me:{PASSWORD}"


def test_F10_errors_of_the_configuration(hawser):
    wrong = {
        "a": ({"proxy": f"http://me:{PASSWORD}@p:1"}, "a password is not written into the configuration"),
        "b": ({"proxy": "socks5://p:1"}, "SOCKS proxies are not understood"),
        "c": ({"proxy": "p:3128"}, "write it as http://HOST:PORT"),
        "d": ({"proxy": "http://me@p:1", "proxy_password": PASSWORD},
              "proxy_password: a secret is not written into the configuration"),
        "e": ({"proxy": "http://p:1", "proxy_password": "env:X"}, "no user for it"),
        "f": ({"proxy_timeout": "soon"}, "proxy_timeout wants a duration"),
    }
    for name, (settings, _) in wrong.items():
        hawser.stream(name, profile="ntfy", topic="x", **settings)
    status, out, err = hawser.check()
    assert status == 78
    assert PASSWORD not in out + err
    for _, said in wrong.values():
        assert said in out + err
