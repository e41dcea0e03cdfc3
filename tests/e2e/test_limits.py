"""What a service allows is kept by all streams that share it, across restarts and crashes."""


def limited(hawser, service, ca):
    """Two streams with one credential, which may connect twice an hour; one is there already."""
    for name in ("chat", "more"):
        hawser.scaiwave(service, name, ca=ca, limits__connects="2/1h", limits__scope="credential",
                        backoff__steps="100ms")


def waits(status):
    return status["state"] == "waiting" and "limits.connects: 2 of 2 in 1h" in status.get("reason", "")


def test_F52_connects_are_shared_and_outlive_a_crash(hawser, service, ca):
    limited(hawser, service, ca)
    hawser.start()
    for name in ("chat", "more"):
        hawser.wait_state("live", stream=name)
    service.drop("rst")
    for name in ("chat", "more"):
        hawser.wait_status(waits, "waiting for limits.connects", stream=name)
    status = hawser.status("chat")
    assert "used by this credential (streams chat, more)" in status["reason"]
    assert 3500_000 < status["retry_in_ms"] <= 3660_000
    hawser.kill()
    hawser.start()
    for name in ("chat", "more"):
        hawser.wait_status(waits, "waiting after a crash", stream=name)
        assert hawser.status(name)["dials"] == 0
    hawser.restart()
    for name in ("chat", "more"):
        hawser.wait_status(waits, "waiting after a restart", stream=name)
        assert hawser.status(name)["dials"] == 0
