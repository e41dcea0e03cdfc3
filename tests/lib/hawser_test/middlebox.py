"""What stands between a client and its service: proxies of Debian's and one of our own that misbehaves."""

import contextlib
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path


class Middlebox:
    """Passes bytes on. hold: what the service sends is gathered for so many seconds and then let go
    at once; age: so old a connection is reset."""

    def __init__(self, port, hold=None, age=None):
        self.upstream, self.hold, self.age = port, hold, age
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        while not self.stopped.is_set():
            with contextlib.suppress(TimeoutError, OSError):
                self.listener.settimeout(0.2)
                client, _ = self.listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self.carry, args=(client,), daemon=True)
                self.threads.append(thread)
                thread.start()

    def carry(self, client):
        with client, socket.create_connection(("127.0.0.1", self.upstream)) as service:
            opened, held, let_go = time.monotonic(), b"", None
            while not self.stopped.is_set():
                ready, _, _ = select.select([client, service], [], [], 0.05)
                now = time.monotonic()
                try:
                    if client in ready:
                        data = client.recv(65536)
                        if not data:
                            return
                        service.sendall(data)
                    if service in ready:
                        data = service.recv(65536)
                        if not data:
                            return
                        held += data
                        # The answer to the upgrade passes at once.
                        let_go = let_go or now
                    if held and now >= let_go:
                        client.sendall(held)
                        held, let_go = b"", now + (self.hold or 0)
                except OSError:
                    return
                if self.age and now - opened >= self.age:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      b"\x01\0\0\0\0\0\0\0")
                    return

    def stop(self):
        self.stopped.set()
        with contextlib.suppress(OSError):  # it was stopped before
            self.listener.shutdown(socket.SHUT_RDWR)  # else accept() goes on, and has one more
        self.listener.close()
        for thread in self.threads:
            thread.join(5)


class Proxy:
    """A reverse proxy in front of 127.0.0.1:port that cuts tunnels silent for `idle` seconds."""

    program = None

    def __init__(self, port, idle, certificate=None):
        self.upstream, self.idle, self.certificate = port, idle, certificate
        self.directory = Path(tempfile.mkdtemp(prefix="hawser-proxy-"))
        self.directory.chmod(0o755)
        for _ in range(5):
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self.port = probe.getsockname()[1]
            with (self.directory / "log").open("ab") as log:
                self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)
            if self.listens():
                return
            self.process.kill()
            self.process.wait()
        raise RuntimeError(f"{self.program} does not start: {(self.directory / 'log').read_text()}")

    @classmethod
    def available(cls):
        return shutil.which(cls.program) is not None

    def listens(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True
            time.sleep(0.02)
        return False

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.directory, ignore_errors=True)


class NginxProxy(Proxy):
    program = "/usr/sbin/nginx"

    def command(self):
        temp = "".join(f"{kind}_temp_path {self.directory}/{kind};\n"
                       for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        tls = self.certificate
        config = self.directory / "nginx.conf"
        config.write_text(f"""
daemon off;
{"user root;" if os.geteuid() == 0 else ""}
worker_processes 1;
pid {self.directory}/pid;
error_log {self.directory}/error.log notice;
events {{ worker_connections 64; }}
http {{
    access_log off;
    {temp}
    server {{
        listen 127.0.0.1:{self.port}{" ssl" if tls else ""};
        {f"ssl_certificate {tls.cert}; ssl_certificate_key {tls.key};" if tls else ""}
        location / {{
            proxy_pass http://127.0.0.1:{self.upstream};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_read_timeout {self.idle}s;
            proxy_send_timeout {self.idle}s;
        }}
    }}
}}
""")
        return [self.program, "-c", str(config), "-e", f"{self.directory}/error.log"]


class HaproxyProxy(Proxy):
    program = "/usr/sbin/haproxy"

    def command(self):
        config = self.directory / "haproxy.cfg"
        config.write_text(f"""
global
    maxconn 64
defaults
    mode http
    timeout connect 5s
    timeout client {self.idle}s
    timeout server {self.idle}s
    timeout tunnel {self.idle}s
frontend front
    bind 127.0.0.1:{self.port}
    default_backend back
backend back
    server service 127.0.0.1:{self.upstream}
""")
        return [self.program, "-db", "-f", str(config)]
