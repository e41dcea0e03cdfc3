"""The cases with permessage-deflate (RFC 7692): every answer to the offer, and what messages may be."""

import asyncio
import random
import zlib

from hawser_test.conformance import BINARY, PING, PONG, TEXT, Failed
from hawser_test.conformance_cases import MIB, bad, case
from hawser_test.raw import frame

TAIL = b"\x00\x00\xff\xff"  # what 7.2.1 has the sender cut off
RSV1 = 4
OFFER = {"client_no_context_takeover", "client_max_window_bits"}


class Deflate:
    """The server's two contexts, by what its answer says."""

    def __init__(self, server_takeover=True, client_takeover=True, server_bits=None, client_bits=None):
        self.server_takeover, self.client_takeover = server_takeover, client_takeover
        self.server_bits, self.client_bits = server_bits, client_bits
        self.compressor = self.decompressor = None

    def answer(self):
        words = ["permessage-deflate"]
        if not self.server_takeover:
            words.append("server_no_context_takeover")
        if not self.client_takeover:
            words.append("client_no_context_takeover")
        if self.server_bits:
            words.append(f"server_max_window_bits={self.server_bits}")
        if self.client_bits:
            words.append(f"client_max_window_bits={self.client_bits}")
        return self, "Sec-WebSocket-Extensions: " + "; ".join(words) + "\r\n"

    def deflate(self, payload, level=1):
        # zlib makes no raw stream with a window of 256 bytes: with 8, only stored blocks are sent.
        if self.server_bits == 8:
            return stored(payload)
        if not self.compressor or not self.server_takeover:
            self.compressor = zlib.compressobj(level, wbits=-(self.server_bits or 15))
        return (self.compressor.compress(payload) + self.compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def inflate(self, payload):
        if not self.decompressor or not self.client_takeover:
            self.decompressor = zlib.decompressobj(wbits=-(self.client_bits or 15))
        try:
            return self.decompressor.decompress(payload + TAIL)
        except zlib.error as error:
            raise Failed(f"a message that does not inflate: {error}") from None


def stored(payload):
    """The payload in stored blocks, and the empty one that stays without its tail."""
    out = b""
    for at in range(0, len(payload), 65535):
        part = payload[at : at + 65535]
        out += b"\0" + len(part).to_bytes(2, "little") + (len(part) ^ 0xFFFF).to_bytes(2, "little") + part
    return out + b"\0"


def frames(opcode, data, size=0):
    """A compressed message in fragments of that size: the bit stands in the first alone."""
    size = size or len(data) or 1
    return b"".join(
        frame(opcode if at == 0 else 0, data[at : at + size], fin=at + size >= len(data),
              rsv=RSV1 if at == 0 else 0)
        for at in range(0, max(len(data), 1), size))


# ---- what is sent ----

def material(kind):
    """256 KiB of one kind, the same in each run."""
    rng = random.Random(7692)
    if kind == "json":
        rows = (b'{"seq":%d,"type":"trade","price":%d.%02d,"pair":"%s"},'
                % (n, rng.randrange(70000), rng.randrange(100), rng.choice([b"BTC/USD", b"ETH/EUR", b"\xe2\x82\xac/$"]))
                for n in range(5000))
        return b"".join(rows)[: 256 * 1024]
    if kind == "prose":
        words = [bytes(rng.choice(b"abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 9))) for _ in range(500)]
        return b" ".join(rng.choice(words) for _ in range(60000))[: 256 * 1024]
    if kind == "random":
        return rng.randbytes(256 * 1024)
    return b"\0" * (256 * 1024)


def slices(data, opcode, size, count):
    """Messages that walk through the material; of text, only whole characters."""
    at = 0
    for _ in range(count):
        at = at if at + size <= len(data) else 0
        part = data[at : at + size]
        at += size
        yield part if opcode == BINARY else part.decode(errors="ignore").encode()


async def round_trips(peer, opcode, kind, size, count, fragment=0):
    if set(peer.header("sec-websocket-extensions").replace(" ", "").split(";")[1:]) != OFFER:
        raise Failed(f"offer {peer.header('sec-websocket-extensions')!r}")
    for payload in slices(material(kind), opcode, size, count):
        await peer.send(frames(opcode, peer.deflate.deflate(payload), fragment))
        await peer.expect((opcode, payload))
    await peer.close()


SIZES = [(0, 100, 0), (16, 1000, 0), (64, 1000, 0), (256, 1000, 0), (1024, 1000, 0), (4096, 1000, 0),
         (8192, 300, 0), (16384, 200, 0), (32768, 100, 0), (65536, 60, 0), (131072, 40, 0),
         (8192, 200, 256), (32768, 60, 256), (131072, 20, 256), (131072, 20, 1024),
         (131072, 20, 4096), (131072, 20, 32768)]


def payloads():
    """Class 12: kinds of payload, sizes, fragments; the simplest answer."""
    cases = {}
    for kind, opcode in (("json", TEXT), ("prose", BINARY), ("random", BINARY), ("zeros", TEXT)):
        for size, count, fragment in SIZES:
            count = count if kind == "json" else 1 + count // 5
            name = f"{count} of {size} {kind}" + (f" in fragments of {fragment}" if fragment else "")
            cases[name] = (case(round_trips, opcode, kind, size, count, fragment), Deflate().answer)
    cases["1000 of 131072 json"] = (case(round_trips, TEXT, "json", 131072, 1000), Deflate().answer)
    return cases


def answers():
    """Class 13: every answer that the offer allows."""
    cases = {}
    for server_takeover in (True, False):
        for client_takeover in (True, False):
            for bits in (None, *range(8, 16)):
                for server, client in {(bits, None), (None, bits), (bits, bits)}:
                    deflate = Deflate(server_takeover, client_takeover, server, client)
                    words = deflate.answer()[1].partition(";")[2].strip() or "nothing"
                    for size, count, fragment in ((1024, 50, 100), (40000, 10, 0)):
                        again = Deflate(server_takeover, client_takeover, server, client)
                        cases[f"{words}: {size}"] = (case(round_trips, TEXT, "json", size, count, fragment),
                                                     again.answer)
    return cases


# ---- what a compressed message may look like ----

async def echoed(peer, opcode, payload, *data):
    """Any number of frames that are one message; a second message shows that the context is right."""
    await peer.send(*data)
    await peer.expect((opcode, payload))
    await peer.send(frame(TEXT, b"not compressed"), frame(PING, b"?"))
    await peer.expect((TEXT, b"not compressed"), (PONG, b"?"))
    again = zlib.compressobj(wbits=-15)
    await peer.send(frames(TEXT, (again.compress(b"behind it") + again.flush(zlib.Z_SYNC_FLUSH))[:-4]))
    await peer.expect((TEXT, b"behind it"))
    await peer.close()


async def bomb(peer, size):
    """More than it takes, in a few KB: thrown away, the link and the context stay."""
    deflate = peer.deflate
    await peer.send(frames(BINARY, deflate.deflate(b"hawser" * 4)))
    await peer.expect((BINARY, b"hawser" * 4))
    # In a thread: whoever is served beside us has deadlines.
    await peer.send(frames(BINARY, await asyncio.to_thread(deflate.deflate, bytes(size))))
    await peer.send(frames(TEXT, deflate.deflate(b"hawser" * 4)))
    await peer.expect((TEXT, b"hawser" * 4))
    await peer.close()


async def long_messages(peer, payload):
    for fragment in (0, 64 * 1024):
        data = await asyncio.to_thread(peer.deflate.deflate, payload)
        await peer.send(frames(BINARY, data, fragment))
        await peer.expect((BINARY, payload))
    await peer.close()


def several_blocks(parts):
    """Blocks that end with the last bit set (7.2.3.4), each a stream of its own."""
    out = b""
    for part in parts:
        one = zlib.compressobj(wbits=-15)
        out += one.compress(part) + one.flush()
    return out + b"\0"


def shapes():
    text = b"as it was sent " * 20
    plain = zlib.compressobj(wbits=-15)
    whole = (plain.compress(text) + plain.flush(zlib.Z_SYNC_FLUSH))[:-4]
    blocks = zlib.compressobj(wbits=-15)
    flushed = (blocks.compress(text) + blocks.flush(zlib.Z_SYNC_FLUSH) + blocks.compress(text) +
               blocks.flush(zlib.Z_SYNC_FLUSH))[:-4]
    finished = zlib.compressobj(wbits=-15)
    fixed = zlib.compressobj(wbits=-15, strategy=zlib.Z_FIXED)
    ended = finished.compress(text) + finished.flush()
    fixed = (fixed.compress(text) + fixed.flush(zlib.Z_SYNC_FLUSH))[:-4]
    known = zlib.compressobj(wbits=-15, zdict=text)
    ahead = (known.compress(text) + known.flush(zlib.Z_SYNC_FLUSH))[:-4]
    euro = zlib.compressobj(wbits=-15)
    broken_euro = (euro.compress(b"\xe2\x82") + euro.flush(zlib.Z_SYNC_FLUSH))[:-4]
    good = {
        "stored": [frames(TEXT, stored(text))],
        "fixed codes": [frames(TEXT, fixed)],
        "flushed in the middle": [frames(TEXT, flushed)],
        "last block marked": [frames(TEXT, ended + b"\0")],
        "in fragments of 1": [frames(TEXT, whole, 1)],
        "an empty first frame": [frame(TEXT, b"", fin=False, rsv=RSV1), frame(0, whole)],
        "an empty last frame": [frame(TEXT, whole, fin=False, rsv=RSV1), frame(0)],
        "a ping between": [frame(TEXT, whole[:9], fin=False, rsv=RSV1), frame(PONG, b"x"), frame(0, whole[9:])],
    }
    bad_frames = {
        "broken": (1007, frames(TEXT, b"\xff" * 20)),
        "a distance into nothing": (1007, frames(TEXT, ahead)),
        "not UTF-8 inside": (1007, frames(TEXT, stored(b"\xff"))),
        "cut in a character": (1007, frames(TEXT, broken_euro)),
        "bit in a continuation": (1002, frame(TEXT, whole[:9], fin=False, rsv=RSV1) + frame(0, whole[9:], rsv=RSV1)),
        "bit only in a continuation": (1002, frame(TEXT, b"x", fin=False) + frame(0, whole, rsv=RSV1)),
        "bit in a ping": (1002, frame(PING, b"x", rsv=RSV1)),
        "bit in a close": (1002, frame(8, b"\x03\xe8", rsv=RSV1)),
        "another bit": (1002, frame(TEXT, whole, rsv=RSV1 | 1)),
    }
    cases = {name: (case(echoed, TEXT, text * (2 if "middle" in name else 1), *data), Deflate().answer)
             for name, data in good.items()}
    cases["several last blocks"] = (case(echoed, TEXT, b"one" * 9 + b"two" * 9, frames(
        TEXT, several_blocks([b"one" * 9, b"two" * 9]))), Deflate().answer)
    cases["empty, of one byte"] = (case(echoed, TEXT, b"", frames(TEXT, b"\0")), Deflate().answer)
    cases["empty, of no byte"] = (case(echoed, BINARY, b"", frames(BINARY, b"")), Deflate().answer)
    for name, (code, data) in bad_frames.items():
        cases[name] = (case(bad, code, data), Deflate().answer)
    for takeover in (True, False):
        cases[f"a bomb{'' if takeover else ', no takeover'}"] = (
            case(bomb, 200 * MIB), Deflate(server_takeover=takeover).answer)
    cases["of the longest kind"] = (case(long_messages, b"0123456789abcdef" * MIB), Deflate().answer)
    return cases


DEFLATE_CLASSES = {"payloads": payloads, "answers": answers, "shapes": shapes}

# Answers that the offer does not allow: the client must not go on.
ILLEGAL = [
    "permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_max_window_bits=7",
    "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=08",
    "permessage-deflate; client_max_window_bits=16", "permessage-deflate; client_max_window_bits=7",
    "permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=x",
    "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_no_context_takeover=yes",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
    "permessage-deflate; unknown", "permessage-deflate; unknown=1", "permessage-deflate;",
    "permessage-deflate, permessage-deflate", "permessage-deflate, x-other", "x-webkit-deflate-frame",
    "permessage-bzip2", "permessage-deflate client_max_window_bits=10",
]
