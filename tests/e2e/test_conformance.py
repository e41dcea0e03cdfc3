"""The wire, tls and io code against a peer that tries everything RFC 6455 and 7692 speak of.

The client is wsecho, which echoes; a verdict for each case, a test for each class of them.
"""

import pytest
from hawser_test import conformance
from hawser_test.conformance_cases import CLASSES, closed_by_the_client
from hawser_test.conformance_deflate import DEFLATE_CLASSES, ILLEGAL
from hawser_test.hawserd import BUILD, SANITIZER

WSECHO = BUILD / "tests" / "tools" / "wsecho"


def client(*options):
    return lambda url: [WSECHO, url, *options]


def assert_conforms(verdicts):
    wrong = {name: (verdict, status, output[-600:]) for name, (verdict, status, output) in verdicts.items()
             if verdict.startswith("failed") or SANITIZER.search(output)}
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
    for name, (verdict, _, _) in verdicts.items():
        if verdict != "ok":
            print(f"{name}: {verdict}")


@pytest.mark.seconds(280)
@pytest.mark.parametrize("kind", CLASSES)
def test_F31_F32_F33_every_case_of(kind):
    heavy = kind in ("limits", "performance")
    assert_conforms(conformance.run(client("--deflate", "off"), CLASSES[kind](), together=2 if heavy else 8))


@pytest.mark.seconds(280)
@pytest.mark.parametrize("kind", ["framing", "pings", "fragmentation", "closing", "limits", "performance"])
def test_F31_F33_over_tls(ca, kind):
    # Python's TLS is slow with crumbs, which say nothing more here.
    cases = {name: case for name, case in CLASSES[kind]().items()
             if "chops of" not in name and "fragments of 64" not in name}
    assert_conforms(conformance.run(client("--ca", str(ca.cert)), cases, together=2,
                                    certificate=ca.localhost))


def test_F31_the_client_closes_first():
    verdicts = conformance.run(client("--close-after", "1"), {"close": closed_by_the_client})
    assert_conforms(verdicts)
    assert verdicts["close"][1] == 0


@pytest.mark.seconds(280)
@pytest.mark.parametrize("kind", DEFLATE_CLASSES)
def test_F31_F32_F33_compressed(kind):
    assert_conforms(conformance.run(client(), DEFLATE_CLASSES[kind](), together=4))


async def never_open(peer):
    """The client hangs up, and says nothing more: no frame may be sent on what never opened."""
    rest = await peer.reader.read()
    if rest:
        raise conformance.Failed(f"{rest!r} on a link that may not open")


@pytest.mark.parametrize("value", ILLEGAL)
def test_F04_extensions_that_the_offer_does_not_allow(value):
    verdicts = conformance.run(client(), {value: (never_open, f"Sec-WebSocket-Extensions: {value}\r\n")})
    assert_conforms(verdicts)
    _, status, output = verdicts[value]
    assert status == 4 and "end handshake" in output, output


def test_F04_extension_that_was_not_offered():
    extra = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    verdicts = conformance.run(client("--deflate", "off"), {"deflate": (never_open, extra)})
    assert_conforms(verdicts)
    assert verdicts["deflate"][1] == 4
