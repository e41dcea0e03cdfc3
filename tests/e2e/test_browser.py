"""A browser's own EventSource, through nginx, from the Unix socket: as a dashboard would."""

import os
import re
import shutil
import subprocess

import pytest
from hawser_test.hawserd import wait_until
from hawser_test.nginx import PROGRAM, free_ports

CHROMIUM = shutil.which("chromium")

PAGE = """<!doctype html><title>events</title><script>
const seqs = [], ids = [];
const source = new EventSource('/events?from=oldest&notices=no');
source.onmessage = message => {
    const event = JSON.parse(message.data);
    if (event.seq) seqs.push(event.seq);
    ids.push(message.lastEventId);
    fetch('/report?seqs=' + seqs.join(',') + '&last=' + message.lastEventId);
};
source.onerror = () => fetch('/error?state=' + source.readyState).catch(() => 0);
</script>
"""


class Proxy:
    """nginx that serves the page, and /events from hawserd's socket; what pages report is in its
    log."""

    def __init__(self, directory, upstream):
        self.directory = directory
        self.port = free_ports(1)[0]
        self.process = None
        (directory / "index.html").write_text(PAGE)
        directory.chmod(0o755)
        temp = "".join(f"{kind}_temp_path {directory}/{kind};\n"
                       for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (directory / "nginx.conf").write_text(f"""
daemon off;
{"user root;" if os.geteuid() == 0 else ""}
worker_processes 1;
pid {directory}/pid;
error_log {directory}/error.log notice;
events {{ worker_connections 64; }}
http {{
    {temp}
    log_format target '$request_uri';
    access_log {directory}/access.log target;
    server {{
        listen 127.0.0.1:{self.port};
        root {directory};
        default_type text/html;
        location /events {{ proxy_pass http://unix:{upstream}; }}
        location /report {{ return 204; }}
    }}
}}
""")

    def start(self):
        self.process = subprocess.Popen(
            [PROGRAM, "-p", self.directory, "-c", self.directory / "nginx.conf",
             "-e", self.directory / "error.log"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until((self.directory / "pid").exists, "nginx")

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def seqs(self):
        """The newest report: the longest, for a browser's requests may overtake each other."""
        path = self.directory / "access.log"
        found = re.findall(r"/report\?seqs=([0-9,]+)", path.read_text() if path.exists() else "")
        newest = max(found, key=lambda seqs: seqs.count(","), default="")
        return [int(seq) for seq in newest.split(",")] if newest else []


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
@pytest.mark.skipif(not PROGRAM.exists(), reason="nginx is not installed")
def test_browser_through_nginx(hawser, service, ca, tmp_path):
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.sections["listen web"] = {"path": hawser.runtime / "web.sock", "protocol": "http",
                                     "mode": "0666"}
    hawser.start().wait_state("live")
    hawser.runtime.chmod(0o755)
    service.publish(5)
    site = tmp_path / "site"
    site.mkdir()
    proxy = Proxy(site, hawser.runtime / "web.sock")
    proxy.start()
    browser = subprocess.Popen(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         f"--user-data-dir={tmp_path}/profile", "--remote-debugging-port=0",
         f"http://127.0.0.1:{proxy.port}/"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(tmp_path)}, start_new_session=True)
    try:
        wait_until(lambda: proxy.seqs() == [1, 2, 3, 4, 5], lambda: f"five; {proxy.seqs()}", 60, 0.1)
        service.publish(3)
        wait_until(lambda: proxy.seqs()[-1] == 8, lambda: f"live ones; {proxy.seqs()}", 60, 0.1)
        # Its connection is cut, events go on, and it comes back with Last-Event-ID.
        proxy.stop()
        service.publish(4)
        with hawser.consumer() as consumer:
            consumer.subscribe(**{"from": 8})
            consumer.wait_events(4)
        proxy.start()
        wait_until(lambda: proxy.seqs()[-1] == 12, lambda: f"the rest; {proxy.seqs()}", 90, 0.1)
        assert proxy.seqs() == list(range(1, 13))
    finally:
        os.killpg(browser.pid, 9)
        browser.wait()
        proxy.stop()
