"""A WebSocket server made of a plain asyncio stream, which judges a client that echoes.

A case is a coroutine that is given a Peer after the handshake: it sends what it likes, chopped as it
likes, says what must come back, and how the connection must end. Every frame of the client is
checked for what holds always (RFC 6455 5.1-5.5, RFC 7692 6). run() has the client under test run
once for each case and returns a verdict for each: "ok", "informational" (either way is right, and
said which way it went) or "failed: " and why.
"""

import asyncio
import base64
import hashlib
import ssl
import struct

from hawser_test.raw import GUID, close_frame, frame

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
WHOLE_CASE_SECONDS = 100


class Failed(Exception):
    """The client did what it must not do."""


class Informational(Exception):
    """The case is over; what the client did is one of several right things."""


def xor(data, mask):
    if not data:
        return data
    pad = (mask * (len(data) // 4 + 1))[: len(data)]
    number = int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")
    return number.to_bytes(len(data), "little")


def accept_key(head):
    """What answers the Sec-WebSocket-Key in the head of a request."""
    key = next(line.partition(":")[2].strip() for line in head.split("\r\n")
               if line.lower().startswith("sec-websocket-key:"))
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def shown(data):
    return repr(data) if len(data) <= 40 else f"{data[:32]!r}... ({len(data)} bytes)"


def name(opcode):
    return {TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong"}[opcode]


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.head = ""
        self.masks = []
        self.deflate = None  # a conformance_deflate.Deflate, where that is agreed on

    # ---- handshake ----

    async def upgrade(self, extra=""):
        self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.writer.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                           f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept_key(self.head)}\r\n"
                           f"{extra}\r\n").encode())

    def header(self, wanted):
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == wanted:
                return value.strip()
        return None

    # ---- out ----

    async def send(self, *parts, chop=None):
        """Bytes, each part as one piece or in chops that leave the machine one by one."""
        for part in parts:
            if chop is None:
                self.writer.write(part)
                await self.writer.drain()
                continue
            for at in range(0, len(part), chop):
                self.writer.write(part[at : at + chop])
                await self.writer.drain()
                if chop < 16 or at % (chop * 64) == 0:
                    await asyncio.sleep(0)

    # ---- in ----

    async def frame(self):
        """(opcode, fin, rsv1, payload) of the client's next frame."""
        first, second = await self.reader.readexactly(2)
        opcode, fin, rsv = first & 15, bool(first & 0x80), first >> 4 & 7
        length = second & 0x7F
        if not second & 0x80:
            raise Failed("a frame that is not masked")
        if length == 126:
            (length,) = struct.unpack(">H", await self.reader.readexactly(2))
            shortest = length > 125
        elif length == 127:
            (length,) = struct.unpack(">Q", await self.reader.readexactly(8))
            shortest = length > 65535
        else:
            shortest = True
        if not shortest:
            raise Failed("a length that is not in its shortest form")
        if opcode not in (0, TEXT, BINARY, CLOSE, PING, PONG):
            raise Failed(f"opcode {opcode}")
        if opcode >= 8 and (length > 125 or not fin):
            raise Failed("a control frame that is long or in fragments")
        if rsv and not (self.deflate and rsv == 4 and opcode in (TEXT, BINARY)):
            raise Failed(f"reserved bits {rsv}")
        mask = await self.reader.readexactly(4)
        self.masks.append(mask)
        return opcode, fin, bool(rsv), xor(await self.reader.readexactly(length), mask)

    async def message(self):
        """(opcode, payload) of the next message or control frame, inflated."""
        opcode, fin, compressed, payload = await self.frame()
        if opcode == 0:
            raise Failed("a continuation of nothing")
        while not fin:
            more, fin, _, part = await self.frame()
            if more >= 8:
                raise Failed("this client was not expected to interleave")
            if more != 0:
                raise Failed("a new message within a message")
            payload += part
        if compressed:
            payload = self.deflate.inflate(payload)
        if opcode == TEXT:
            try:
                payload.decode()
            except UnicodeDecodeError:
                raise Failed("text that is not UTF-8") from None
        return opcode, payload

    async def expect(self, *messages):
        """The client's next frames are these (opcode, payload)."""
        for opcode, payload in messages:
            got = await self.message()
            if got != (opcode, payload):
                raise Failed(f"{name(got[0])} {shown(got[1])} where {name(opcode)} {shown(payload)} "
                             "was right")

    async def echoes(self, opcode, payload, chop=None):
        await self.send(frame(opcode, payload), chop=chop)
        await self.expect((opcode, payload))

    # ---- ends ----

    async def close_code(self, ignored=()):
        """Reads until the close frame: its code, None for none. Other frames than ignored fail."""
        while True:
            opcode, payload = await self.message()
            if opcode == CLOSE:
                break
            if (opcode, payload) not in ignored:
                raise Failed(f"{name(opcode)} {shown(payload)} where a close frame was right")
        if len(payload) == 1:
            raise Failed("a close frame with half a code")
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            raise Failed("a close reason that is not UTF-8") from None
        return struct.unpack(">H", payload[:2])[0] if payload else None

    async def silence(self):
        """After both close frames: nothing more comes, and the client lets the server hang up."""
        if not self.writer.can_write_eof():
            return  # TLS has no half of an end
        self.writer.write_eof()
        rest = await self.reader.read(4096)
        if rest:
            raise Failed(f"{shown(rest)} after the close frame")

    async def close(self, code=1000, reason=b"", answer=None):
        """We close; the client answers with the same code."""
        await self.send(frame(CLOSE) if code is None else close_frame(code, reason))
        await self.closed(code if answer is None else answer)

    async def closed(self, code):
        got = await self.close_code()
        if got != code:
            raise Failed(f"close {got} where {code} was right")
        await self.silence()

    async def fails(self, code, ignored=()):
        """The client fails the connection with this code; messages sent before may be echoed."""
        got = await self.close_code(ignored)
        if got != code:
            raise Failed(f"close {got} where {code} was right")
        await self.send(close_frame(code))
        await self.silence()


class Server:
    """Serves one case at a time on a port of 127.0.0.1, and keeps its verdict."""

    def __init__(self, case, extra="", certificate=None):
        self.case, self.extra = case, extra
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate.cert, certificate.key)
        self.verdict = asyncio.get_running_loop().create_future()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, limit=1 << 25,
                                                 ssl=self.context)
        port = self.server.sockets[0].getsockname()[1]
        self.url = f"wss://localhost:{port}/" if self.context else f"ws://127.0.0.1:{port}/"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def serve(self, reader, writer):
        verdict = "failed: the case ended early"
        try:
            peer = Peer(reader, writer)
            extra = self.extra
            if callable(extra):
                peer.deflate, extra = extra()
            await peer.upgrade(extra)
            await asyncio.wait_for(self.case(peer), WHOLE_CASE_SECONDS)
            verdict = "ok"
        except Informational as how:
            verdict = f"informational: {how}"
        except Failed as why:
            verdict = f"failed: {why}"
        except asyncio.IncompleteReadError:
            verdict = "failed: the client hung up without a close frame"
        except asyncio.TimeoutError:
            verdict = "failed: took too long"
        except Exception as error:  # pylint: disable=broad-except
            verdict = f"failed: {error!r}"
        finally:
            writer.close()
            if not self.verdict.done():
                self.verdict.set_result(verdict)


async def judge(client, case, extra="", certificate=None):
    """One case with one run of client(url), an argv: (verdict, exit status, output)."""
    async with Server(case, extra, certificate) as server:
        process = await asyncio.create_subprocess_exec(
            *map(str, client(server.url)), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        try:
            output, _ = await asyncio.wait_for(process.communicate(), WHOLE_CASE_SECONDS + 20)
        except asyncio.TimeoutError:
            process.kill()
            output, _ = await process.communicate()
            output += b"\nkilled: it did not end"
        if not server.verdict.done():
            server.verdict.set_result("failed: the client did not connect, or did not end in time")
        return await server.verdict, process.returncode, output.decode(errors="replace")


def run(client, cases, together=8, certificate=None):
    """{name: (verdict, status, output)} of {name: case} or {name: (case, extra)}."""
    async def everything():
        gate = asyncio.Semaphore(together)

        async def one(case):
            case, extra = case if isinstance(case, tuple) else (case, "")
            async with gate:
                return await judge(client, case, extra, certificate)

        return dict(zip(cases, await asyncio.gather(*map(one, cases.values()))))

    return asyncio.run(everything())
