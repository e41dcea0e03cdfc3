"""What retention took is told in full, however slowly a consumer reads."""

import socket

from hawser_test.hawserd import wait_until


def test_F49_slow_reader_is_told_of_all_that_is_missing(hawser, service, ca):
    """The kept stream's events lie between the lost ones, and the reader stops within a page."""
    hawser.scaiwave(service, name="kept", ca=ca, start="oldest")
    hawser.scaiwave(service, name="lost", ca=ca, start="oldest", retain_size="64K")
    hawser.start().wait_state("live", stream="kept")
    hawser.wait_state("live", stream="lost")
    with hawser.consumer() as witness:
        witness.subscribe()
        for batch in range(1, 31):
            service.publish(200, size=1000)  # more than memory keeps, too
            witness.wait_events(400 * batch)
        all_seqs = {name: {e["seq"] for e in witness.events if e["stream"] == name}
                    for name in ("kept", "lost")}

    def told(start):
        with hawser.consumer() as reader:
            reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.subscribe(**{"from": start})
            reader.wait(lambda: reader.events and reader.events[-1]["seq"] == newest, "the newest")
            assert not {e["seq"] for e in reader.events if e["stream"] == "kept"} ^ all_seqs["kept"]
            got = {e["seq"] for e in reader.events if e["stream"] == "lost"}
            said = set()
            for gap in reader.gaps:
                assert gap["reason"] == "retention" and gap["stream"] == "lost", gap
                said |= set(range(gap["from_seq"], gap["to_seq"] + 1))
            return all_seqs["lost"] - got, said & all_seqs["lost"]

    newest = max(all_seqs["kept"] | all_seqs["lost"])
    wait_until(lambda: len(told(0)[0]) > 1000, "retention", every=0.3)
    missing, said = told(0)
    assert said == missing, (len(said), len(missing), sorted(missing - said)[:5])
    assert told("oldest")[1] == set()
