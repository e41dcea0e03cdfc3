"""Metrics: what is counted, that Prometheus takes it, and that rules and dashboard ask for what there is."""

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

from hawser_test import web
from hawser_test.consumer import Consumer
from hawser_test.hawserd import ROOT, wait_until
from hawser_test.metrics import labels_of, mentioned, parse, scrape

# Each family with its labels; those of the process have none.
FAMILIES = {
    "hawser_stream_state": "stream state",
    "hawser_dials_total": "stream",
    "hawser_links_opened_total": "stream",
    "hawser_links_closed_total": "stream code by",
    "hawser_handshake_failures_total": "stream status",
    "hawser_tls_failures_total": "stream reason",
    "hawser_retry_delay_seconds": "stream",
    "hawser_rtt_seconds": "stream le",
    "hawser_heartbeat_failures_total": "stream",
    "hawser_messages_received_total": "stream",
    "hawser_bytes_received_total": "stream",
    "hawser_events_stored_total": "stream via",
    "hawser_events_duplicate_total": "stream",
    "hawser_events_malformed_total": "stream",
    "hawser_gaps_total": "stream reason",
    "hawser_catchup_seconds": "stream",
    "hawser_arrival_gap_seconds": "stream le",
    "hawser_held_back_total": "stream",
    "hawser_credential_expiry_timestamp_seconds": "stream",
    "hawser_tls_certificate_expiry_timestamp_seconds": "stream",
    "hawser_tls_own_certificate_expiry_timestamp_seconds": "stream",
    "hawser_store_bytes": "",
    "hawser_store_commit_seconds": "le",
    "hawser_store_failing": "",
    "hawser_store_oldest_seq": "",
    "hawser_store_newest_seq": "",
    "hawser_loop_stall_seconds": "le",
    "hawser_loop_stall_longest_seconds": "",
    "hawser_consumer_lag_events": "consumer",
    "hawser_consumer_connected": "consumer",
    "hawser_clients": "listener",
    "hawser_log_lines_total": "level",
    "hawser_log_suppressed_total": "",
    "hawser_log_dropped_total": "",
    "hawser_build_info": "version",
}
PROCESS = {"process_cpu_seconds_total", "process_virtual_memory_bytes", "process_resident_memory_bytes",
           "process_open_fds", "process_max_fds", "process_start_time_seconds"}
OPTIONAL = {"hawser_credential_expiry_timestamp_seconds",  # where it is known
            "hawser_tls_own_certificate_expiry_timestamp_seconds"}
RULES = ROOT / "packaging" / "prometheus"
DASHBOARD = ROOT / "packaging" / "grafana" / "hawser.json"


@pytest.fixture
def watched(hawser, service, ca):
    """Live, with metrics on TCP and on a Unix socket."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.web = hawser.runtime / "web.sock"
    hawser.sections["listen web"] = {"path": hawser.web, "protocol": "http"}
    hawser.sections["listen tcp"] = {"tcp": "127.0.0.1:0", "protocol": "http"}
    hawser.start().wait_state("live")
    hawser.port = int(hawser.wait_log(r"listen tcp: 127\.0\.0\.1:(\d+)").group(1))
    return hawser


def series(watched, family, labels=""):
    return scrape(watched.web)[family].get(labels)


def wait_series(watched, family, labels, value):
    wait_until(lambda: series(watched, family, labels) == value, lambda: f"{family}{labels} to be {value}: "
               f"{scrape(watched.web)[family]}")


# ---- what there is ----

def test_F56_families_and_labels(watched, service):
    """Every family with its labels; series over closed sets are there before anything happened."""
    found, kinds = parse(web.ask(watched.web, "/metrics")[2])
    assert set(found) == set(FAMILIES) | PROCESS
    for family, labels in FAMILIES.items():
        if family not in OPTIONAL and not family.startswith("hawser_consumer"):
            assert labels_of(found[family]) == set(labels.split()), family
        assert (kinds[family] == "histogram") == ("le" in labels.split()), family
    chat = '{stream="chat",'
    for family, label, words in (
            ("hawser_gaps_total", "reason", "upstream no_resume no_position epoch oversize malformed"),
            ("hawser_events_stored_total", "via", "live sync poll sse audit"),
            ("hawser_tls_failures_total", "reason", "expired wrong_host not_tls other cut timeout files"),
            ("hawser_stream_state", "state", "live parked waiting paused polling")):
        for word in words.split():
            assert f'{chat}{label}="{word}"}}' in found[family], (family, word)
    assert found["hawser_links_closed_total"]['{stream="chat",code="1006",by="peer"}'] == 0
    assert found["hawser_handshake_failures_total"]['{stream="chat",status="503"}'] == 0
    assert found["hawser_store_failing"][""] == 0
    assert found["hawser_loop_stall_seconds"]["_count"] > 0
    assert found["hawser_tls_certificate_expiry_timestamp_seconds"]['{stream="chat"}'] > time.time()


def test_links_and_dials_are_counted(watched, service):
    service.drop("close", code=4242, reason="odd")
    wait_series(watched, "hawser_links_closed_total", '{stream="chat",code="4242",by="peer"}', 1)
    watched.wait_state("live")
    found = scrape(watched.web)
    assert found["hawser_links_opened_total"]['{stream="chat"}'] == 2
    assert found["hawser_dials_total"]['{stream="chat"}'] >= 2
    assert found["hawser_retry_delay_seconds"]['{stream="chat"}'] == 0


def test_consumers_lag(watched, service):
    """As of the scrape, not of some count before it."""
    with watched.consumer() as consumer:
        consumer.ask(op="subscribe", consumer="mailer", **{"from": "oldest"})
        service.publish(9)
        seq = consumer.wait_events(9)[-1]["seq"]
        found = scrape(watched.web)
        assert found["hawser_consumer_lag_events"] == {'{consumer="mailer"}': 9}
        assert found["hawser_consumer_connected"] == {'{consumer="mailer"}': 1}
        consumer.ask(op="ack", seq=seq, id=1)
        assert series(watched, "hawser_consumer_lag_events", '{consumer="mailer"}') == 0
    wait_series(watched, "hawser_consumer_connected", '{consumer="mailer"}', 0)
    service.publish(5)
    wait_series(watched, "hawser_consumer_lag_events", '{consumer="mailer"}', 5)
    # Several in a row on one connection, each waiting for its count.
    with web.Raw(watched.web) as raw:
        one = b"GET /metrics HTTP/1.1\r\nHost: a\r\n"
        raw.send((one + b"\r\n") * 3 + one + b"Connection: close\r\n\r\n")
        assert raw.rest().count(b'hawser_consumer_lag_events{consumer="mailer"} 5') == 4


def test_a_client_that_goes_while_its_scrape_waits(watched, service):
    with watched.consumer() as consumer:
        consumer.ask(op="subscribe", consumer="mailer", **{"from": "oldest"})
    for _ in range(20):
        with web.Raw(watched.web) as raw:
            raw.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    assert series(watched, "hawser_consumer_lag_events", '{consumer="mailer"}') == 0


# ---- Prometheus ----

def need(program):
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed (Debian: prometheus)")
    return path


def promtool(*arguments, **options):
    done = subprocess.run([need("promtool"), *map(str, arguments)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_checks_the_page(watched, service):
    with watched.consumer() as consumer:
        consumer.ask(op="subscribe", consumer="mailer")
    service.publish(3)
    promtool("check", "metrics", input=web.ask(watched.web, "/metrics")[2])


@pytest.fixture
def prometheus(watched, tmp_path):
    """A real one that scrapes hawserd, with the shipped rules. ask(query) asks its API."""
    config = {"global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
              "rule_files": [str(RULES / "hawser.rules.yml")],
              "scrape_configs": [{"job_name": "hawser",
                                  "static_configs": [{"targets": [f"127.0.0.1:{watched.port}"]}]}]}
    path = tmp_path / "prometheus.yml"
    path.write_text(json.dumps(config))  # JSON is YAML
    with open(tmp_path / "log", "w+", encoding="utf-8") as log:
        process = subprocess.Popen([need("prometheus"), f"--config.file={path}",
                                    f"--storage.tsdb.path={tmp_path / 'data'}",
                                    "--web.listen-address=127.0.0.1:0"], stdout=log, stderr=log)
        try:
            match = wait_until(
                lambda: re.search(r'msg="?Listening on"? address=(\S+)|address=(\S+:\d+).*Listening',
                                  (tmp_path / "log").read_text()),
                lambda: (tmp_path / "log").read_text())
            address = match[1] or match[2]
            if address.endswith(":0"):
                address = listening(process.pid)

            def ask(query):
                url = f"http://{address}/api/v1/query?" + urllib.parse.urlencode({"query": query})
                try:
                    with urllib.request.urlopen(url, timeout=10) as answer:
                        return json.load(answer)["data"]["result"]
                except OSError:
                    return []

            yield ask
        finally:
            process.kill()
            process.wait()


def listening(pid):
    """The address that a process with one listening socket has, where its log says port 0."""
    def look():
        done = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True)
        match = re.search(rf"127\.0\.0\.1:(\d+) .*pid={pid},", done.stdout)
        return match and f"127.0.0.1:{match[1]}"
    return wait_until(look, "prometheus to listen")


def test_prometheus_scrapes_it(watched, prometheus, service):
    service.publish(11)

    def value(query):
        result = prometheus(query)
        return float(result[0]["value"][1]) if len(result) == 1 else None

    wait_until(lambda: value("up") == 1, lambda: f"up: {prometheus('up')}")
    wait_until(lambda: value("sum(hawser_events_stored_total)") == 11,
               lambda: f"{prometheus('hawser_events_stored_total')}")
    assert value('hawser_stream_state{state="live"}') == 1
    assert value("scrape_samples_scraped") > 100
    wait_until(lambda: value("hawser:stream_live") == 1, "the recording rule")
    assert value("histogram_quantile(0.5, hawser_store_commit_seconds_bucket)") > 0
    types = {m["metric"]["__name__"] for m in prometheus('{__name__=~"hawser_.*"}')}
    assert "hawser_loop_stall_seconds_bucket" in types


# ---- what is shipped for it ----

def rules():
    """[(what, expression)] of the rules, and the names that they record."""
    yaml = pytest.importorskip("yaml", reason="python3-yaml is not installed")
    document = yaml.safe_load((RULES / "hawser.rules.yml").read_text())
    entries = [rule for group in document["groups"] for rule in group["rules"]]
    for rule in entries:
        if "alert" in rule:
            assert "What to do: " in rule["annotations"]["description"], rule["alert"]
            assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
    return ([(rule.get("alert") or rule["record"], rule["expr"]) for rule in entries],
            {rule["record"] for rule in entries if "record" in rule})


def dashboard():
    document = json.loads(DASHBOARD.read_text())
    found = [(panel["title"], target["expr"]) for panel in document["panels"] for target in panel.get("targets", [])]
    found += [(variable["name"], variable["query"]["query"]) for variable in document["templating"]["list"]
              if variable["type"] == "query"]
    return found


def assert_known(what, expression, recorded):
    names, labels = mentioned(re.sub(r"\$[a-z_]+", "", expression))
    allowed = {"job", "instance"}
    for name in names:
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        family = family if "le" in FAMILIES.get(family, "").split() else name
        assert name in recorded or family in FAMILIES or name in PROCESS, f"{what}: there is no {name}"
        allowed |= set(FAMILIES.get(family, "").split())
        if name in recorded:
            allowed |= {"stream", "le"}
    assert labels <= allowed, f"{what}: {labels - allowed} is on none of {names}"


def test_rules_and_dashboard_refer_to_what_there_is():
    """FAMILIES is what the daemon shows, by test_F56_families_and_labels."""
    entries, recorded = rules()
    assert len(entries) > 10
    for what, expression in entries + dashboard():
        assert_known(what, expression, recorded)
    with pytest.raises(AssertionError, match="no hawser_nonsense"):
        assert_known("x", "rate(hawser_nonsense_total[5m])", recorded)
    with pytest.raises(AssertionError, match="is on none"):
        assert_known("x", 'hawser_dials_total{reason="x"}', recorded)


def test_every_state_and_family_is_on_the_dashboard():
    shown = {name for _, expression in dashboard() for name in mentioned(expression)[0]}
    shown = {re.sub(r"_bucket$", "", name) for name in shown}
    assert set(FAMILIES) <= shown, set(FAMILIES) - shown


def test_promtool_checks_the_rules():
    promtool("check", "rules", RULES / "hawser.rules.yml")
    promtool("test", "rules", RULES / "hawser.test.yml", cwd=RULES)


# ---- a page for many ----

@pytest.mark.seconds(300)
def test_F56_a_page_for_many(hawser, service, ca):
    """256 streams and 1,000 consumers: one answer, within its bound, and the loop goes on."""
    token = hawser.secret()
    for i in range(256):
        hawser.stream(f"s{i:03}", profile="scaiwave", host="127.0.0.1:1", token=f"file:{token}",
                      **{"backoff__steps": "1h"})
    hawser.sections["daemon"]["log"] = "warning"
    hawser.sections["daemon"]["dial_rate"] = "1000/s"
    hawser.web = hawser.runtime / "web.sock"
    hawser.sections["listen web"] = {"path": hawser.web, "protocol": "http"}
    hawser.start(timeout=100)
    for i in range(1000):
        with Consumer(hawser.socket) as consumer:
            consumer.ask(op="subscribe", consumer=f"consumer-{i:04}", **{"from": "oldest"})
    times = []
    for _ in range(5):
        began = time.monotonic()
        _, _, text = web.ask(hawser.web, "/metrics")
        times.append(time.monotonic() - began)
    found, _ = parse(text)
    assert len(found["hawser_consumer_lag_events"]) == 1000
    assert len({labels for labels in found["hawser_dials_total"]}) == 256
    assert len(text) < 8 << 20
    print(f"{len(text)} bytes, {text.count(chr(10))} lines, "
          f"{min(times) * 1000:.1f} to {max(times) * 1000:.1f} ms a scrape, longest turn "
          f"{found['hawser_loop_stall_longest_seconds'][''] * 1000:.1f} ms")
