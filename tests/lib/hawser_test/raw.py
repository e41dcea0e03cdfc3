"""A server made of a plain socket, for what no proper server would send."""

import base64
import contextlib
import hashlib
import socket
import ssl
import struct
import threading

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class RawServer:
    """Runs script(connection) in a thread for each connection accepted on 127.0.0.1."""

    def __init__(self, script, certificate=None):
        self.script = script
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.host = f"localhost:{self.port}"
        self.context = None
        self.accepted = 0
        self.open = []
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate.cert, certificate.key)
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.open.append(sock)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            sock.settimeout(60)
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
                self.open.append(sock)
            self.script(Connection(sock))
        except (OSError, EOFError):
            pass
        finally:
            sock.close()

    def stop(self):
        with contextlib.suppress(OSError):  # it was stopped before
            self.listener.shutdown(socket.SHUT_RDWR)  # else accept() goes on, and has one more
        self.listener.close()
        for sock in self.open:
            try:
                sock.close()
            except OSError:
                pass


class Connection:
    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data)

    def fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError()
        self.buffer += data

    def head_of_tls(self):
        """Something of a ClientHello."""
        self.take(5)

    def reset(self):
        """Ends the connection with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def head(self):
        """The request's header block."""
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head.decode("latin-1")

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def accept_websocket(self, extra="", accept=None, also=b""):
        """Answers the upgrade; `also` goes out in the same segment. Returns the request's head."""
        head = self.head()
        key = next(line.split(":", 1)[1].strip() for line in head.split("\r\n")
                   if line.lower().startswith("sec-websocket-key:"))
        if accept is None:
            accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
        self.send(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   f"Sec-WebSocket-Accept: {accept}\r\n{extra}\r\n").encode() + also)
        return head

    def frame(self):
        """(opcode, payload) of the client's next frame; its reserved bits are in self.rsv."""
        first, second = self.take(2)
        self.rsv = first >> 4 & 7
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.take(8))
        mask = self.take(4) if second & 0x80 else b"\0\0\0\0"
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.take(length)))
        return first & 0x0F, payload

    def until_close(self):
        """The close code that the client sends, answering its pings."""
        while True:
            opcode, payload = self.frame()
            if opcode == 9:
                self.send(frame(10, payload))
            if opcode == 8:
                return struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None


def frame(opcode, payload=b"", fin=True, rsv=0, mask=None):
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
    if mask:
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        head += mask
    return head + payload


def close_frame(code, reason=b""):
    return frame(8, struct.pack(">H", code) + reason)
