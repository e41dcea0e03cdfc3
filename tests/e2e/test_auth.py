"""Tokens that are wrong, missing, or where they should not be; tenants that do not fit."""

import pytest
from hawser_test.consumer import assert_same

NEW = "a-brand-new-token"


@pytest.mark.parametrize("upgrades", [True, False], ids=["101-then-4001", "401"])
def test_F13_bad_token_parks_and_a_new_one_heals(hawser, service, ca, upgrades):
    service.set(tokens=[NEW], bad_token_upgrades=upgrades)
    service.publish(10)
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    status = hawser.wait_state("parked")
    assert ("4001" if upgrades else "401") in status["reason"]
    # Once as configured, once after the refresh; no third that cannot succeed.
    assert len(service.stats()["dials"]) == 2
    hawser.secret(value=NEW)  # all that the operator has to do
    hawser.wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(10)


def test_F13_a_parked_stream_is_not_woken_by_nothing(hawser, service, ca):
    service.set(tokens=[NEW])
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    since = hawser.wait_state("parked")["since_ms"]
    dials = len(service.stats()["dials"])
    # It has been looked at twice and more.
    hawser.wait_status(lambda status: status["since_ms"] > since + 5000, "5 s of rest")
    assert len(service.stats()["dials"]) == dials


def test_F13_same_token_written_anew_under_our_eyes(chat, service):
    """As `echo TOKEN >file` does it, emptied first: whoever was parked by that moment is woken, although no
    look at the file has ever found another value."""
    token = chat.directory / "token"
    value = token.read_text()
    with chat.consumer() as consumer:
        consumer.subscribe()
        for _ in range(8):
            seen = len(consumer.notices)
            token.write_text("")
            assert chat.request(op="reconnect", stream="chat").get("ok") == "reconnect"
            consumer.wait(lambda: any(n.get("state") == "parked" for n in consumer.notices[seen:]), "parked")
            token.write_text(value)
            consumer.wait(lambda: consumer.notices[-1].get("state") == "live", "live again")
        published = service.publish(10)
        consumer.wait_events(10)
        assert_same(consumer.ids(), published.ids)


def test_stream_has_a_log_level_of_its_own(hawser, service, ca):
    hawser.scaiwave(service, name="chat", ca=ca, start="oldest", log="error")
    hawser.scaiwave(service, name="loud", ca=ca, start="oldest", log="debug")
    hawser.sections["daemon"]["log"] = "info"
    hawser.start()
    hawser.wait_state("live", stream="chat")
    hawser.wait_state("live", stream="loud")
    assert "debug   loud" in hawser.log()
    assert "chat" not in "".join(line for line in hawser.log().splitlines() if "> live" in line)


def test_F13_token_rolled_while_connected(chat, service):
    """4001 on a link that lived: the file is read anew, and that is all it takes."""
    with chat.consumer() as consumer:
        consumer.subscribe()
        published = service.publish(10)
        consumer.wait_events(10)
        service.set(tokens=[NEW])
        chat.secret(value=NEW)
        service.drop("close", code=4001, reason="expired")
        published.ids += service.publish(10).ids
        consumer.wait_events(20)
        assert_same(consumer.ids(), published.ids)
    chat.wait_state("live")
    assert all(dial["authorised"] for dial in service.stats()["dials"])


def test_F13_sync_refuses_the_token(chat, service):
    """The link would do, sync says 401: refreshed and tried again, nothing lost."""
    with chat.consumer() as consumer:
        consumer.subscribe()
        published = service.publish(10)
        consumer.wait_events(10)
        service.set(sync_answer={"status": 401, "body": '{"error":{"code":"SW_AUTH_EXPIRED_TOKEN"}}'})
        service.drop("rst")
        published.ids += service.publish(10).ids
        service.wait(lambda stats: any(s["items"] is None for s in stats["syncs"]), "a refused sync")
        service.set(sync_answer=None)
        if chat.wait_state("live", "parked")["state"] == "parked":
            chat.hawserctl("reconnect", "chat")
        consumer.wait_events(20)
        assert_same(consumer.ids(), published.ids)


def test_F17_tenant_mismatch_parks(hawser, service, ca):
    service.set(handshake={"status": 403,
                           "body": '{"error":{"code":"SW_AUTH_TENANT_MISMATCH","message":"no"}}'})
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    hawser.wait_state("parked")
    assert len(service.stats()["dials"]) == 1


def test_F20_hello_of_another_tenant_parks(hawser, service, ca):
    service.set(hello_tenant="tenant-2")
    service.publish(5)
    hawser.scaiwave(service, ca=ca, start="oldest", tenant="tenant-1")
    hawser.start()
    status = hawser.wait_state("parked")
    assert "tenant" in status["reason"]
    assert len(service.stats()["dials"]) == 1
    service.set(hello_tenant=None)
    hawser.hawserctl("reconnect", "chat")
    hawser.wait_state("live")


def test_F20_the_right_tenant_is_fine(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest", tenant="tenant-1")
    hawser.start().wait_state("live")


@pytest.mark.parametrize("trouble,words", [("missing", "cannot be read|No such file"),
                                           ("empty", "empty"), ("directory", "regular file"),
                                           ("control bytes", "control|byte")])
def test_token_file_that_is_no_good_parks_its_stream_only(hawser, service, ca, trouble, words):
    path = hawser.directory / "other-token"
    if trouble == "empty":
        path.write_text("\n")
    elif trouble == "directory":
        path.mkdir()
    elif trouble == "control bytes":
        path.write_bytes(b"tok\x01en\n")
    if path.is_file():
        path.chmod(0o600)
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.scaiwave(service, name="bad", ca=ca, token=f"file:{path}")
    hawser.start()
    status = hawser.wait_state("parked", stream="bad")
    assert "other-token" in status["reason"]
    hawser.wait_log(words)
    hawser.wait_state("live")
    assert len(service.stats()["dials"]) == 1
    # It heals on the operator's word.
    if path.is_dir():
        path.rmdir()
    hawser.secret("other-token")
    hawser.hawserctl("reconnect", "bad")
    hawser.wait_state("live", stream="bad")


def test_token_file_that_others_can_read_is_not_used(hawser, service, ca):
    hawser.scaiwave(service, ca=ca)
    hawser.secret(mode=0o644)
    status, _, errors = hawser.check()
    if status == 0:
        hawser.start()
        hawser.wait_state("parked")
        errors = hawser.log()
    assert "chmod 600" in errors
    assert service.stats()["dials"] == []


def test_token_as_a_literal_is_an_error_that_does_not_show_it(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, token="s3cret-literal-token")
    status, out, errors = hawser.check()
    assert status == 78
    assert "file:" in errors
    assert "s3cret-literal-token" not in out + errors


def test_token_from_the_environment_and_from_systemd(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, token="env:CHAT_TOKEN")
    hawser.scaiwave(service, name="second", ca=ca, token="credential:token")
    hawser.environment = {"CHAT_TOKEN": "good-token",
                          "CREDENTIALS_DIRECTORY": str(hawser.directory)}
    hawser.start()
    hawser.wait_state("live")
    hawser.wait_state("live", stream="second")
    assert all(dial["authorised"] for dial in service.stats()["dials"])


def test_token_is_encoded_in_the_query(hawser, service, ca):
    odd = "a+b/c=&?#% \u00e9"
    service.set(tokens=[odd])
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.secret(value=odd)
    hawser.start().wait_state("live")


ECHOED = "s3cret/with+odd=chars"


@pytest.mark.parametrize("where", ["status", "redirect", "close", "sync"])
def test_F59_echoed_token_goes_nowhere(hawser, service, ca, where):
    """What the service says is told, but for our token in it, in whatever spelling."""
    hawser.secrets.add("s3cret")
    service.set(tokens=[ECHOED])
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.secret(value=ECHOED)
    text = f"refused:\n {ECHOED} s3cret%2Fwith%2Bodd%3Dchars s3cret%2fwith%2bodd%3dchars s3cret%2Fwith%2Bod"
    if where == "status":
        service.set(handshake={"status": 503, "body": text})
    elif where == "redirect":
        service.set(handshake={"status": 302, "headers": {
            "Location": "https://elsewhere/?token=s3cret%2Fwith%2Bodd%3Dchars"}})
    elif where == "close":
        service.set(handshake={"close": 1013, "reason": text.replace("\n", "")[:123]})
    else:
        service.set(sync_answer={"status": 503, "body": text})
    hawser.start()
    status = hawser.wait_status(lambda status: "***" in status.get("reason", ""), "a reason")
    if where != "redirect":
        assert "refused: ***" in status["reason"]
    with hawser.consumer() as consumer:
        consumer.subscribe()
        hawser.hawserctl("reconnect", "chat")
        consumer.wait(lambda: any("***" in n.get("reason", "") for n in consumer.notices), "it")
        assert "s3cret" not in str(consumer.notices)
    assert "s3cret" not in hawser.hawserctl("status", status=None)
