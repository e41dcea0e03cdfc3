"""HTTP proxies: squid and tinyproxy as Debian ships them, and one that does as a test says."""

import base64
import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from hawser_test.nginx import free_ports

SQUID = Path("/usr/sbin/squid")
SQUID_LOGIN = Path("/usr/lib/squid/basic_ncsa_auth")
TINYPROXY = Path("/usr/bin/tinyproxy")


class Program:
    """A proxy that is a process; started on a port that was free, again where it was not for long."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="hawser-proxy-"))
        self.directory.chmod(0o777)
        for _ in range(5):
            (self.port,) = free_ports(1)
            self.output = open(self.directory / "output", "ab")
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                            stdout=self.output, stderr=self.output)
            if self.listening():
                return
            self.stop(keep=True)
        raise RuntimeError("the proxy does not start:\n" + (self.directory / "output").read_text())

    def listening(self):
        deadline = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                time.sleep(0.05)
        return False

    def stop(self, keep=False):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)


class Squid(Program):
    """login: (user, password) that it asks for. denied: a port that it lets nobody connect to."""

    def __init__(self, login=None, denied=None):
        self.login, self.denied = login, denied
        super().__init__()

    def command(self):
        lines = [f"http_port 127.0.0.1:{self.port}", "shutdown_lifetime 0 seconds",
                 f"pid_filename {self.directory}/pid", f"access_log stdio:{self.directory}/access",
                 f"cache_log {self.directory}/cache", f"coredump_dir {self.directory}",
                 "cache deny all", "visible_hostname squid.test", "pinger_enable off",
                 "logfile_rotate 0"]
        if self.denied:
            lines += [f"acl denied port {self.denied}", "http_access deny denied"]
        if self.login:
            user, password = self.login
            hashed = subprocess.run(["openssl", "passwd", "-apr1", password], check=True,
                                    capture_output=True, text=True).stdout.strip()
            (self.directory / "users").write_text(f"{user}:{hashed}\n")
            lines += [f"auth_param basic program {SQUID_LOGIN} {self.directory}/users",
                      "auth_param basic realm hawser", "acl known proxy_auth REQUIRED",
                      "http_access allow known", "http_access deny all"]
        else:
            lines.append("http_access allow all")
        (self.directory / "squid.conf").write_text("\n".join(lines) + "\n")
        return [SQUID, "-N", "-f", self.directory / "squid.conf"]

    def tunnels(self):
        """[(status, target, user)] of the tunnels that have ended, and of refusals."""
        path = self.directory / "access"
        text = path.read_text() if path.exists() else ""
        return [(int(m[1]), m[2], m[3]) for m in
                re.finditer(r"\S+/(\d+) \d+ CONNECT (\S+) (\S+)", text)]


class Tinyproxy(Program):
    def __init__(self, login=None, port=None):
        self.login, self.allowed = login, port
        super().__init__()

    def command(self):
        lines = [f"Port {self.port}", "Listen 127.0.0.1", "Timeout 600", "MaxClients 50",
                 f'LogFile "{self.directory}/log"', "LogLevel Connect", "Allow 127.0.0.1"]
        if self.login:
            lines.append("BasicAuth " + " ".join(self.login))
        if self.allowed:
            lines.append(f"ConnectPort {self.allowed}")
        (self.directory / "tinyproxy.conf").write_text("\n".join(lines) + "\n")
        return [TINYPROXY, "-d", "-c", self.directory / "tinyproxy.conf"]

    def log(self):
        return (self.directory / "log").read_text()


class ScriptedProxy:
    """Tunnels CONNECT to where `hosts` says that a name leads ({"name": port on 127.0.0.1}), or
    answers with `answer` (bytes; b"" says nothing and keeps the connection) instead."""

    def __init__(self, hosts=None, answer=None, close=True, head=b"HTTP/1.1 200 Connected\r\n\r\n"):
        self.hosts, self.answer, self.close, self.head = hosts or {}, answer, close, head
        self.requests = []
        self.open = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(client)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            request = b""
            while b"\r\n\r\n" not in request:
                more = client.recv(4096)
                if not more:
                    return
                request += more
            lines = request.decode().split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            headers = {name.lower(): value for name, value in headers.items()}
            login = headers.get("proxy-authorization", "").removeprefix("Basic ")
            self.requests.append({"method": method, "target": target, "headers": headers,
                                  "login": base64.b64decode(login).decode()})
            if self.answer is not None:
                client.sendall(self.answer)
                if not self.close:
                    client.recv(1)
                client.close()
                return
            name = target.rpartition(":")[0]
            self.pump(client, socket.create_connection(("127.0.0.1", self.hosts[name])))
        except OSError:
            pass

    def pump(self, client, server):
        self.open.append(server)
        client.sendall(self.head)

        def copy(source, sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        threading.Thread(target=copy, args=(server, client), daemon=True).start()
        copy(client, server)

    def stop(self):
        with contextlib.suppress(OSError):  # it was stopped before
            self.listener.shutdown(socket.SHUT_RDWR)  # else accept() goes on, and has one more
        self.listener.close()
        for sock in self.open:
            sock.close()


def available(*programs):
    return all(os.access(program, os.X_OK) for program in programs)
