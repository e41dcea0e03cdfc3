"""The C programs that make load: they are told lines, and say lines of JSON."""

import json
import os
import signal
import subprocess
import threading
from pathlib import Path

PATIENCE_S = 60  # for a program's next word


class Trouble(Exception):
    """What could not be measured, and why."""


class Program:
    """A process that says lines of JSON; its errors go to a file."""

    def __init__(self, command, directory, cpu=None, env=None):
        self.name = Path(command[0]).name if "python" not in str(command[0]) else "python"
        self.errors = directory / f"{self.name}.err"
        pin = (lambda: os.sched_setaffinity(0, {cpu})) if cpu is not None else None
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors, preexec_fn=pin, env=env, text=True)

    def why(self):
        status = self.process.poll()
        text = self.errors.read_text(errors="replace").strip()[-500:]
        state = "still runs" if status is None else f"exit status {status}"
        return f"{self.name} {state}, and says: {text or 'nothing'}"

    def hear(self, key, patience_s=PATIENCE_S):
        """The next line that has the key."""
        while True:
            # A silent program is killed, which ends the reading.
            timer = threading.Timer(patience_s, self.process.kill)
            timer.start()
            line = self.process.stdout.readline()
            timer.cancel()
            if not line:
                if self.process.wait() == -signal.SIGKILL:
                    raise Trouble(f"{self.name} said nothing for {patience_s} s")
                raise Trouble(self.why())
            said = json.loads(line)
            if key in said:
                return said

    def tell(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.process.wait()
            raise Trouble(self.why()) from None

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
