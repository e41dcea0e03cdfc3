"""The fake ScaiWave as a test sees it: a process of its own, told what to do."""

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

LIBRARY = Path(__file__).resolve().parent.parent


class Range:
    """The events of one publish."""

    def __init__(self, answer):
        self.first, self.last, self.step = answer["first"], answer["last"], answer["step"]
        self.positions = range(self.first, self.last + 1, self.step)
        self.ids = [f"evt-{position}" for position in self.positions]

    def __len__(self):
        return len(self.positions)


class Service:
    def __init__(self, certificate=None, errors=None, **config):
        command = [sys.executable, "-m", "hawser_test.fakes.scaiwave", "--config",
                   json.dumps(config)]
        if certificate:
            command += ["--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            env=dict(os.environ, PYTHONPATH=str(LIBRARY), PYTHONDONTWRITEBYTECODE="1"))
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the fake service ended with status {self.process.wait()}")
        ports = json.loads(line)
        self.port, self.control = ports["port"], ports["control"]
        self.host = f"localhost:{self.port}"

    def call(self, op, **arguments):
        connection = http.client.HTTPConnection("127.0.0.1", self.control, timeout=60)
        try:
            connection.request("POST", "/", json.dumps(dict(arguments, op=op)),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{op}: {answer.status} {body[:500]!r}")
            return json.loads(body)
        finally:
            connection.close()

    def publish(self, count=1, **options):
        return Range(self.call("publish", count=count, **options))

    def flow(self, rate, **options):
        return self.call("flow", rate=rate, **options)

    def raw(self, **what):
        return self.call("raw", **what)

    def drop(self, how="rst", **options):
        return self.call("drop", how=how, **options)

    def down(self, how="rst", **options):
        return self.call("down", how=how, **options)

    def up(self):
        return self.call("up")

    def set(self, **config):
        return self.call("set", **config)

    def stats(self, clear=False):
        return self.call("stats", clear=clear)

    def wait(self, condition, what, timeout=30):
        """Until condition(stats) holds; returns them."""
        deadline = time.monotonic() + timeout
        while True:
            stats = self.stats()
            if condition(stats):
                return stats
            if time.monotonic() > deadline:
                raise AssertionError(f"the service waited in vain for {what}: {brief(stats)}")
            time.sleep(0.02)

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def brief(stats):
    return {key: len(value) if isinstance(value, list) else value for key, value in stats.items()}
