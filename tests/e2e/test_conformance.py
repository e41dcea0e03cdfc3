"""The wire, tls and io code against a peer that tries everything RFC 6455 and 7692 speak of.

The client is wsecho, which echoes; a verdict for each case, a test for each class of them.
"""

import pytest
from hawser_test import conformance
from hawser_test.conformance_cases import CLASSES, closed_by_the_client
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


def test_F31_the_client_closes_first():
    verdicts = conformance.run(client("--close-after", "1"), {"close": closed_by_the_client})
    assert_conforms(verdicts)
    assert verdicts["close"][1] == 0
