"""ScaiWave without its WebSocket: long-poll delivers; cut-over both ways loses and repeats nothing."""

import pytest
from hawser_test.consumer import assert_rising, assert_same

FALLBACK = {"fallback:poll.after": "2", "fallback:poll.retry_primary": "1s"}


@pytest.mark.parametrize("parallel", [1, 2])
def test_F43_long_poll_while_the_websocket_is_refused(hawser, service, ca, parallel):
    hawser.scaiwave(service, ca=ca, start="oldest", connect__parallel=parallel, **FALLBACK)
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = service.publish(5).ids
        consumer.wait_events(5)
        for _ in range(3):
            service.set(handshake={"status": 503})
            service.drop()
            wanted += service.publish(5).ids
            hawser.wait_state("polling", timeout=60)
            wanted += service.publish(20).ids
            consumer.wait_events(len(wanted), timeout=60)
            service.set(handshake=None)
            wanted += service.publish(5).ids
            hawser.wait_state("live", timeout=60)
            wanted += service.publish(5).ids
            consumer.wait_events(len(wanted), timeout=60)
        consumer.drain(0.3)
        assert_same(consumer.ids(), wanted)
        assert_rising(consumer.seqs)
        assert consumer.gaps == []
        assert "poll" in {event["via"] for event in consumer.events}


def test_F43_under_load(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest", **FALLBACK)
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        service.flow(300)
        for _ in range(3):
            service.set(handshake={"status": 503})
            service.drop()
            hawser.wait_state("polling", timeout=60)
            service.set(handshake=None)
            hawser.wait_state("live", timeout=60)
        service.flow(0)
        last = service.publish(1)
        consumer.wait_id(last.ids[0], timeout=60)
        first = int(consumer.ids()[0].split("-")[1])
        assert_same(consumer.ids(), [f"evt-{n}" for n in range(first, last.last + 1)])
        assert consumer.gaps == []


def test_F19_two_clients_with_one_token(hawser, service, ca):
    """Each throws the other out: known by the rhythm, and the war ends with a rest."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    for number in range(1, 4):
        service.wait(lambda stats: len(stats["links"]) == number and stats["open"] == 1,
                     "the next link")
        hawser.wait_state("live")
        service.drop("close", code=4003)
    status = hawser.wait_state("held")
    assert "4003" in status["reason"]
    assert "token" in status["reason"]


def test_F34_reactions_without_an_id(hawser, service, ca):
    """On the link a reaction has neither id nor position; sync's copy is what is stored."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        first = service.publish(1)
        hidden = service.publish(1, live=False, type="swp.room.reaction")
        service.raw(text='{"type":"swp.room.reaction","event_id":"evt-1001","room_id":"room-1",'
                         '"content":{"key":"+1"}}')
        last = service.publish(1)
        consumer.wait_id(last.ids[0])
        consumer.drain(0.3)
        assert_same(consumer.ids(), first.ids + hidden.ids + last.ids)
        assert len(consumer.events) == 3
