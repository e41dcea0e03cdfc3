"""Fixtures. Each test has its own hawserd, service and directory; ports are the kernel's choice."""

import signal
import sys
import tempfile
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from hawser_test.certificates import Authority  # noqa: E402
from hawser_test.fakes.scripted import PROFILE, Scripted  # noqa: E402
from hawser_test.hawserd import Hawserd  # noqa: E402
from hawser_test.service import Service  # noqa: E402

TEST_SECONDS = 150


@pytest.fixture(autouse=True)
def deadline(request):
    """No test hangs the run: after TEST_SECONDS, or its `seconds` marker, it fails where it stands."""
    marker = request.node.get_closest_marker("seconds")

    def on_alarm(*_):
        pytest.fail("the test took too long", pytrace=True)

    old = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(marker.args[0] if marker else TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.fixture(scope="session")
def ca():
    with tempfile.TemporaryDirectory(prefix="hawser-ca-") as directory:
        authority = Authority(directory)
        authority.localhost = authority.issue()
        yield authority


@pytest.fixture
def service(ca, request):
    """The fake service over TLS; @pytest.mark.service(option=...) configures it."""
    marker = request.node.get_closest_marker("service")
    fake = Service(ca.localhost, **(marker.kwargs if marker else {}))
    yield fake
    fake.stop()


@pytest.fixture
def hawser(request):
    """A hawserd that is configured and started by the test; its end is judged here."""
    daemon = Hawserd()
    yield daemon
    report = getattr(request.node, "call_report", None)
    if report is not None and report.failed:
        sys.stderr.write(f"---- {daemon.config}\n{daemon.config.read_text() if daemon.config.exists() else ''}")
        sys.stderr.write("---- hawserd's log\n" + daemon.log()[-12000:])
    daemon.close()


@pytest.fixture
def chat(hawser, service, ca):
    """hawserd with one stream `chat` of the service, started and live."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    hawser.wait_state("live")
    return hawser


@pytest.fixture
def peer(ca):
    """The scripted service; modules about other services have a peer of their own."""
    service = Scripted(ca.localhost)
    yield service
    service.stop()


@pytest.fixture
def feed(hawser, peer, ca, tmp_path):
    """Writes the profile (with what is added to it) and a stream `feed` of it."""
    def configure(added="", name="feed", profile=PROFILE, **settings):
        (tmp_path / "scripted.ini").write_text(profile + added)
        hawser.sections["daemon"]["profile_dir"] = tmp_path
        token = hawser.secret("scripted", "scripted-token")
        hawser.stream(name, **{"profile": "scripted", "host": peer.host, "tls_ca": ca.cert,
                               "start": "oldest", "token": f"file:{token}", **settings})
        return hawser

    return configure


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.call_report = outcome.get_result()


def pytest_addoption(parser):
    parser.addoption("--shard", help="N/M: only every Mth test, from the Nth on; none that shares a "
                     "machine")


def pytest_collection_modifyitems(config, items):
    shard = config.getoption("--shard")
    if shard:
        number, of = map(int, shard.split("/"))
        items[:] = [item for item in items if not item.get_closest_marker("machine")]
        items[:] = [item for i, item in enumerate(items) if i % of == number - 1]


def pytest_configure(config):
    config.addinivalue_line("markers", "service(**options): configures the fake service")
    config.addinivalue_line("markers", "nginx(server, tls=False): what its server section says")
    config.addinivalue_line("markers", "machine: shares a booted system with others of its module")
    config.addinivalue_line("markers", "seconds(n): the test's own time limit")
