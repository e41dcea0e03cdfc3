"""A program that speaks HTTP to hawserd, by hand where no library would."""

import http.client
import socket
import time


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def connection(where, timeout=30):
    """To a path, or (host, port)."""
    if isinstance(where, tuple):
        return http.client.HTTPConnection(*where, timeout=timeout)
    return UnixConnection(where, timeout)


def ask(where, target, method="GET", headers=None, timeout=30):
    """(status, headers, body)"""
    peer = connection(where, timeout)
    try:
        peer.request(method, target, headers=headers or {})
        answer = peer.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        peer.close()


class Raw:
    """Bytes on a socket."""

    def __init__(self, where, timeout=30):
        self.socket = socket.socket(socket.AF_INET if isinstance(where, tuple) else socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(where if isinstance(where, tuple) else str(where))
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        data = self.socket.recv(65536)
        self.data += data
        return data

    def until(self, mark):
        """Everything up to and with the mark."""
        while mark not in self.data:
            if not self.fill():
                raise EOFError(self.data)
        head, mark, self.data = self.data.partition(mark)
        return head + mark

    def rest(self):
        """Everything up to the end."""
        while self.fill():
            pass
        return self.data


class Events(Raw):
    """A reader of /events; fields of server-sent events as the standard reads them."""

    def __init__(self, where, query="", headers="", timeout=30):
        super().__init__(where, timeout)
        self.send(f"GET /events{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        self.head = self.until(b"\r\n\r\n").decode()
        self.status = int(self.head.split()[1])
        self.last_id = None
        self.retry = None
        self.comments = 0

    def next(self, timeout=60):
        """The data of the next event."""
        deadline = time.monotonic() + timeout
        while True:
            assert time.monotonic() < deadline
            block = self.until(b"\n\n").decode()
            data = []
            for line in block.splitlines():
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if name == "data":
                    data.append(value)
                elif name == "id":
                    self.last_id = value
                elif name == "retry":
                    self.retry = int(value)
                elif name == "" and line.startswith(":"):
                    self.comments += 1
            if data:
                return "\n".join(data)
            if self.comments:
                return None
