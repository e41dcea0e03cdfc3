#!/usr/bin/python3
"""Sums up a directory of test results; the last line is "N passed, N failed[, N skipped]".

Reads *.testlog.json (meson, one JSON object a line), *.junit.xml (pytest) and *.broken (a step that
did not come to its end, one failure each). A file that cannot be read is a failure too.
"""

import json
import sys
import xml.etree.ElementTree
from pathlib import Path

MESON_PASSED = {"OK", "EXPECTEDFAIL"}
MESON_SKIPPED = {"SKIP", "IGNORED"}


class Results:
    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    def add_meson(self, path):
        for line in path.read_text(errors="replace").splitlines():
            if not line.strip():
                continue
            test = json.loads(line)
            if test["result"] in MESON_PASSED:
                self.passed += 1
            elif test["result"] in MESON_SKIPPED:
                self.skips.append(test["name"])
            else:
                self.failures.append(f"{test['name']}: {test['result'].lower()}")

    def add_junit(self, path):
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            name = f"e2e {case.get('classname', '')}.{case.get('name', '')}".replace(" .", " ")
            bad = [case.find(kind) for kind in ("failure", "error")]
            bad = [node for node in bad if node is not None]
            skipped = case.find("skipped")
            if bad:
                message = (bad[0].get("message") or "").strip().splitlines() or [""]
                self.failures.append(f"{name}: {message[0][:200]}")
            elif skipped is not None:
                self.skips.append(f"{name}: {(skipped.get('message') or '')[:200]}")
            else:
                self.passed += 1

    def add_directory(self, directory):
        readers = {
            "*.testlog.json": self.add_meson,
            "*.junit.xml": self.add_junit,
            "*.broken": lambda path: self.failures.append(
                path.read_text(errors="replace").strip() or path.stem
            ),
        }
        for pattern, reader in readers.items():
            for path in sorted(directory.glob(pattern)):
                try:
                    reader(path)
                except (OSError, ValueError, KeyError, xml.etree.ElementTree.ParseError) as error:
                    self.failures.append(f"{path.name} cannot be read: {error}")
        if not self.passed and not self.failures and not self.skips:
            self.failures.append("no test was run")


def main(directory):
    results = Results()
    results.add_directory(Path(directory))
    print()
    for title, entries in (("Skipped", results.skips), ("Failed", results.failures)):
        if entries:
            print(f"{title}:")
            for entry in entries:
                print(f"    {entry}")
    last = f"{results.passed} passed, {len(results.failures)} failed"
    if results.skips:
        last += f", {len(results.skips)} skipped"
    print(last, flush=True)
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
