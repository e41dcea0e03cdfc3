"""Every secret of a test, in every form that it may leave hawserd in, held against all that hawserd wrote.

A secret is what was configured, what hawserd rotated it to, what a service gave it; the test names those that it
makes up itself (hawser.secrets). It may be in its source, in the vault, and on the wire: nowhere else.
"""

import base64
import json
import mmap
import os
import stat
import urllib.parse
from pathlib import Path

LEAST = 4             # shorter values are not redacted: they would blot out half of every text
FILE_MAX = 64 << 20   # bytes of a file that are looked at
SAID_MAX = 16 << 20   # bytes that are kept of what was said


def base64_forms(value):
    """What base64 shows of it, whatever stood before it: the digits that are made of it alone."""
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + value)
        first, last = -(-8 * shift // 6), 8 * (shift + len(value)) // 6
        if last - first >= LEAST + 2:
            yield text[first:last]
            yield text[first:last].replace(b"+", b"-").replace(b"/", b"_")


def forms(secret):
    """The bytes that give it away."""
    value = secret.encode()
    if len(value) < LEAST:
        return set()
    found = {value, urllib.parse.quote(secret, safe="").encode(), urllib.parse.quote_plus(secret).encode(),
             urllib.parse.quote(secret, safe="").lower().encode(),
             json.dumps(secret)[1:-1].encode(), json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
             json.dumps(secret)[1:-1].replace("/", "\\/").encode(), value.hex().encode()}
    return found | set(base64_forms(value))


def sources(sections, environment):
    """What the configuration's file: and env: refer to."""
    for entries in sections.values():
        for value in entries.values():
            kind, _, rest = str(value).partition(":")
            if kind == "file" and os.path.isfile(rest):
                yield from Path(rest).read_text(errors="replace").split("\n")
            elif kind == "env" and rest in environment:
                yield environment[rest]


def kept(state):
    """What the vault holds, whose files are hawserd's alone."""
    for path in sorted((state / "credentials").glob("*")) if (state / "credentials").is_dir() else []:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, f"{path} is not 0600"
        for line in path.read_bytes().split(b"\n"):
            words = line.split(b" ")
            if words[0] == b"secret" and len(words) == 6:
                yield base64.b64decode(words[5]).decode(errors="replace")


def leak(text, known):
    """(which secret, where) or None. text: bytes or a mapped file."""
    for secret, patterns in known.items():
        for pattern in patterns:
            at = text.find(pattern)
            if at >= 0:
                return f"{secret[:4]}... as {pattern[:12]!r}", bytes(text[max(0, at - 80):at + 8])
    return None


def leak_in_file(path, known):
    with open(path, "rb") as file:
        size = min(os.fstat(file.fileno()).st_size, FILE_MAX)
        if size == 0:
            return None
        with mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) as text:
            return leak(text, known)


def processes(pid):
    """(what, bytes) of a process's children: arguments and environment. Those of hawserd itself are what it was given."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        for what in ("cmdline", "environ"):
            try:
                yield f"{what} of child {child}", Path(f"/proc/{child}/{what}").read_bytes()
            except OSError:
                pass


class Said:
    """What hawserd and hawserctl said to others, kept until it is judged."""

    def __init__(self):
        self.parts = []
        self.bytes = 0

    def add(self, what, text):
        data = text if isinstance(text, bytes) else text.encode()
        if self.bytes < SAID_MAX:
            self.parts.append((what, data))
            self.bytes += len(data)

    def add_line(self, line):
        """Of ndjson: all but events, which are the service's words, byte for byte."""
        if "data" not in line and "text" not in line and "base64" not in line:
            self.add("a line to a consumer", json.dumps(line, ensure_ascii=False))


def assert_kept(hawser):
    """After the end of hawserd: what is in its log, in what it said, and on its disk."""
    secrets = set(hawser.secrets) | set(sources(hawser.sections, hawser.environment)) | set(kept(hawser.state))
    known = {secret: forms(secret) for secret in secrets if forms(secret)}
    found = leak_in_file(hawser.log_path, known)
    assert not found, f"a secret in the log: {found}"
    for what, text in hawser.said.parts:
        found = leak(text, known)
        assert not found, f"a secret in {what}: {found}"
    if hawser.events_hold_secrets:
        return
    for path in hawser.state.rglob("*") if hawser.state.is_dir() else []:
        if path.is_file() and path.parent.name != "credentials":
            found = leak_in_file(path, known)
            assert not found, f"a secret in {path}: {found}"
