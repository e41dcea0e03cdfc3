"""nginx with nchan, as Debian ships both: a real service of a test's own."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
PROGRAM = Path("/usr/sbin/nginx")


def available():
    return MODULE.exists() and PROGRAM.exists()


def free_ports(count):
    """Ports that are free now; all are held until all are known."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


class Nginx:
    def __init__(self, certificate, publishing=""):
        self.publishing = publishing  # further directives of the publisher
        self.directory = Path(tempfile.mkdtemp(prefix="hawser-nginx-"))
        self.directory.chmod(0o755)
        self.certificate = certificate
        self.process = None
        for _ in range(5):
            self.port, self.publish_port = free_ports(2)
            self.configure()
            if self.start():
                return
        raise RuntimeError(f"nginx does not start:\n{self.log()}")

    def configure(self):
        channel = ("nchan_channel_id $1; nchan_message_buffer_length 100000; "
                   "nchan_message_timeout 1h;")
        temp = "".join(f"{kind}_temp_path {self.directory}/{kind};\n"
                       for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.directory / "nginx.conf").write_text(f"""
load_module {MODULE};
daemon off;
{"user root;" if os.geteuid() == 0 else ""}
worker_processes 1;
pid {self.directory}/pid;
error_log {self.directory}/error.log notice;
events {{ worker_connections 512; }}
http {{
    access_log off;
    {temp}
    nchan_shared_memory_size 64M;
    server {{
        listen 127.0.0.1:{self.port} ssl;
        ssl_certificate {self.certificate.cert};
        ssl_certificate_key {self.certificate.key};
        location ~ ^/sub/(\\w+)$ {{
            nchan_subscriber websocket;
            nchan_subscriber_first_message oldest;
            nchan_websocket_ping_interval 5s;
            {channel}
        }}
    }}
    server {{
        listen 127.0.0.1:{self.publish_port};
        location ~ ^/pub/(\\w+)$ {{ nchan_publisher; {self.publishing} {channel} }}
    }}
}}
""")

    def start(self):
        self.process = subprocess.Popen(
            [PROGRAM, "-p", self.directory, "-c", self.directory / "nginx.conf",
             "-e", self.directory / "error.log"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.publish_port), 1).close()
                return True
            except OSError:
                time.sleep(0.02)
        return False

    def log(self):
        path = self.directory / "error.log"
        return path.read_text() if path.exists() else ""

    def workers(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def publish(self, channel, bodies):
        connection = http.client.HTTPConnection("127.0.0.1", self.publish_port, timeout=20)
        try:
            for body in bodies:
                connection.request("POST", f"/pub/{channel}", body,
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                assert answer.status in (200, 201, 202), answer.status
        finally:
            connection.close()

    def delete(self, channel):
        connection = http.client.HTTPConnection("127.0.0.1", self.publish_port, timeout=20)
        connection.request("DELETE", f"/pub/{channel}")
        connection.getresponse().read()
        connection.close()

    def reload(self):
        old = set(self.workers())
        self.process.send_signal(signal.SIGHUP)
        return old

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                for pid in self.workers():
                    os.kill(pid, signal.SIGKILL)
                self.process.kill()
                self.process.wait()
        self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
