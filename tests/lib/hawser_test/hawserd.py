"""A real hawserd of a test's own: configuration, start, log, status, stop, and what must always hold."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from hawser_test import secrets, web
from hawser_test.consumer import Closed, Consumer

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("HAWSER_BUILD", ROOT / "build-tests"))
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:")
TOKEN = "good-token"

# Quick where the defaults are made for networks, not for tests.
QUICK = {
    "backoff.steps": "0,100ms,200ms,400ms",
    "catchup.settle": "1s",
}


def wait_until(condition, what, timeout=30, every=0.01):
    """The first true value of condition(); AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what() if callable(what) else what}")
        time.sleep(every)


class Hawserd:
    """stop() asserts a clean end; close() is for teardown and cleans up whatever happened."""

    def __init__(self, build=None):
        self.build = Path(build or BUILD)
        self.binary = self.build / "src" / "daemon" / "hawserd"
        self.ctl = self.build / "src" / "ctl" / "hawserctl"
        # Short: a Unix socket's path has 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="hawser-"))
        self.directory.chmod(0o755)
        self.state = self.directory / "state"
        self.runtime = self.directory / "run"
        self.socket = self.runtime / "events.sock"
        self.control = self.runtime / "control.sock"
        self.config = self.directory / "hawser.ini"
        self.log_path = self.directory / "log"
        self.process = None
        self.secrets = {TOKEN}
        self.events_hold_secrets = False  # the service says them in what it sends, and that is stored
        self.said = secrets.Said()
        self.sections = {
            "daemon": {"state_dir": self.state, "runtime_dir": self.runtime, "log": "debug",
                       "profile_dir": ROOT / "conf" / "profiles"},
            "store": {"min_free": "0%"},
            "listen events": {"path": self.socket},
        }
        self.wrapper = []
        self.descriptors = ()  # that it is started with, besides the usual ones
        self.environment = {}
        self.expect_exit = 0
        self.log_path.write_text("")

    # ---- configuration ----

    def secret(self, name="token", value=TOKEN, mode=0o600):
        path = self.directory / name
        if not path.exists() or path.read_text() != value + "\n":  # else some stream reads it just now
            path.write_text(value + "\n")
        path.chmod(mode)
        if value:
            self.secrets.add(value)
        return path

    def scaiwave(self, service, name="chat", ca=None, **settings):
        """A stream of the fake service; keys as in the file, with __ for the dot."""
        section = {"profile": "scaiwave", "host": service and service.host, "token": f"file:{self.secret()}",
                   **QUICK}
        if ca:
            section["tls_ca"] = ca.cert
        section.update({key.replace("__", "."): value for key, value in settings.items()})
        self.sections[f"stream {name}"] = {k: v for k, v in section.items() if v is not None}

    def stream(self, name, **settings):
        self.sections[f"stream {name}"] = {
            **QUICK, **{key.replace("__", "."): value for key, value in settings.items()}}

    def write_config(self):
        lines = []
        for section, entries in self.sections.items():
            lines.append(f"[{section}]")
            for key, value in entries.items():
                if value is True or value is False:
                    value = "yes" if value else "no"
                lines.append(f"{key} = " + str(value).replace("\n", "\n    "))
            lines.append("")
        self.config.write_text("\n".join(lines))
        for directory in (self.state, self.runtime):
            directory.mkdir(exist_ok=True)

    # ---- running ----

    def env(self):
        environment = dict(os.environ)
        for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "JOURNAL_STREAM", "NOTIFY_SOCKET",
                     "WATCHDOG_USEC", "WATCHDOG_PID",
                     "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
                     "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
            environment.pop(name, None)
        environment.setdefault("ASAN_OPTIONS", "detect_leaks=1:halt_on_error=1")
        environment.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
        environment.update(self.environment)
        return environment

    def run(self, *arguments, timeout=60):
        """hawserd to its end, such as --check: (status, stdout, stderr)."""
        done = subprocess.run([self.binary, *map(str, arguments)], env=self.env(), timeout=timeout,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert not SANITIZER.search(done.stderr), done.stderr
        self.said.add("hawserd's output", done.stdout + done.stderr)
        return done.returncode, done.stdout, done.stderr

    def check(self):
        self.write_config()
        return self.run("--config", self.config, "--check")

    def hawserctl(self, *arguments, timeout=60, status=0):
        done = subprocess.run([self.ctl, "--socket", self.control, *map(str, arguments)],
                              env=self.env(), timeout=timeout, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        assert not SANITIZER.search(done.stderr), done.stderr
        self.said.add(f"hawserctl {arguments[0]}", done.stdout + done.stderr)
        assert status is None or done.returncode == status, (done.returncode, done.stdout,
                                                             done.stderr)
        return done.stdout

    def spawn(self):
        assert self.process is None
        self.write_config()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, self.binary, "--config", self.config], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=self.env(), pass_fds=self.descriptors)

    def start(self, timeout=30):
        self.spawn()
        wait_until(self.accepting, "hawserd to listen", timeout)
        return self

    def accepting(self):
        if self.process.poll() is not None:
            status, self.process = self.process.returncode, None
            raise AssertionError(f"hawserd ended with status {status}:\n{self.log()}")
        try:
            # The greeting comes when all listeners are there and the loop turns.
            with Consumer(self.control, timeout=5) as consumer:
                return consumer.greeting
        except (OSError, AssertionError):
            return False

    def stop(self, timeout=30):
        """A clean stop; returns how many seconds it took."""
        self.listen_in()
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.process = None
            raise AssertionError(f"hawserd did not stop:\n{self.log()}") from None
        self.process = None
        assert status == self.expect_exit, f"hawserd ended with status {status}:\n{self.log()}"
        return time.monotonic() - started

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    # ---- watching ----

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, pattern, timeout=30):
        """The first match in the log."""
        return wait_until(
            lambda: re.search(pattern, self.log()),
            lambda: f"the log to say {pattern!r}:\n{self.log()[-4000:]}", timeout, 0.03)

    def consumer(self, control=False):
        return Consumer(self.control if control else self.socket, said=self.said)

    def request(self, **request):
        with self.consumer(control=True) as consumer:
            return consumer.ask(**request)

    def status(self, stream=None):
        """The whole answer, or one stream's part of it."""
        answer = self.request(op="status")
        assert answer.get("ok") == "status", answer
        text = json.dumps(answer)
        for secret in self.secrets:
            assert secret not in text, "a secret in the status"
        if stream is None:
            return answer
        return next(entry for entry in answer["streams"] if entry["stream"] == stream)

    def wait_status(self, condition, what, stream="chat", timeout=30):
        last = {}

        def look():
            last.clear()
            last.update(self.status(stream))
            return last if condition(last) else None

        return wait_until(
            look, lambda: f"{what}; it is {json.dumps(last, indent=1)}\n{self.log()[-4000:]}",
            timeout, 0.03)

    def wait_state(self, *states, stream="chat", timeout=30):
        return self.wait_status(lambda status: status["state"] in states,
                                f"{stream} to be {' or '.join(states)}", stream, timeout)

    def listen_in(self):
        """What it says of itself, and what its children were given, for close() to judge."""
        if not self.wrapper:  # whose child is hawserd itself
            for what, text in secrets.processes(self.process.pid):
                self.said.add(what, text)
        try:
            with Consumer(self.control, timeout=2, said=self.said) as consumer:
                consumer.ask(timeout=2, op="status")
                consumer.ask(timeout=2, op="consumers")
            for name, entries in self.sections.items():
                if entries.get("protocol") == "http" and "path" in entries and "auth" not in entries:
                    for page in ("/metrics", "/readyz", "/status"):
                        self.said.add(f"{page} of {name}", web.ask(entries["path"], page, timeout=2)[2])
        except (OSError, AssertionError, ValueError, Closed):
            pass  # it may hang, be full or be stopped: that is what some tests are about

    def assert_nothing_bad(self):
        log = self.log()
        found = SANITIZER.search(log)
        assert not found, log[max(0, found.start() - 200) : found.start() + 6000]
        secrets.assert_kept(self)

    def close(self):
        """What every test ends with. Raises what is wrong, after cleaning up."""
        try:
            if self.process is not None:
                if self.process.poll() is None:
                    self.stop()
                else:
                    status, self.process = self.process.returncode, None
                    raise AssertionError(f"hawserd had ended with {status}:\n{self.log()[-6000:]}")
            self.assert_nothing_bad()
        finally:
            if self.process is not None:
                self.kill()
            shutil.rmtree(self.directory, ignore_errors=True)
