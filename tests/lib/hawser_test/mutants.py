"""Mutants of one pure room: deliberate bugs that its random test must find.

A mutant is a few words of the room's source replaced in a copy. One that survives, or whose words no
longer stand in the source just once, fails the test.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CC = os.environ.get("CC", "cc")
FLAGS = ["-std=gnu11", "-O1", "-D_GNU_SOURCE", "-w"]


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, **options)


def compile_all(sources, into, include):
    done = run([CC, *FLAGS, *[f"-I{path}" for path in include], "-c", *map(str, sources)], cwd=into)
    if done.returncode != 0:
        sys.exit(f"the build failed:\n{done.stdout[-3000:]}")


class Tree:
    """A copy of src/ROOM, and what does not change compiled once."""

    def __init__(self, directory, room, test):
        src = Path(directory) / "src"
        self.room = src / room
        self.common, self.own = Path(directory) / "common", Path(directory) / "own"
        self.common.mkdir()
        self.own.mkdir()
        shutil.copytree(ROOT / "src" / room, self.room)
        self.include = [src, ROOT / "src", ROOT / "tests"]
        compile_all((ROOT / "src/base").glob("*.c"), self.common, self.include)
        compile_all(self.room.glob("*.c"), self.own, self.include)
        compile_all([ROOT / "tests/unit" / room / test], self.own, self.include)

    def test(self):
        exe = self.own / "test"
        done = run([CC, "-o", exe, *self.own.glob("*.o"), *self.common.glob("*.o"), "-lcmocka",
                    "-lpthread"])
        if done.returncode != 0:
            sys.exit(f"the build failed:\n{done.stdout[-3000:]}")
        return run([exe], timeout=60)

    def judge(self, name, old, new):
        """What the random test says of the mutant."""
        path = self.room / name
        text = path.read_text()
        if text.count(old) != 1:
            sys.exit(f"{name}: stands there {text.count(old)} times, wanted once:\n{old}")
        path.write_text(text.replace(old, new))
        compile_all([path], self.own, self.include)
        try:
            return self.test()
        finally:
            path.write_text(text)
            compile_all([path], self.own, self.include)


def main(room, test, mutants):
    """mutants: {name: (file of the room, what stands there, what the mutant has)}."""
    wanted = [name for name in mutants
              if not sys.argv[1:] or any(part in name for part in sys.argv[1:])]
    survivors = 0
    with tempfile.TemporaryDirectory(prefix=f"hawser-{room}-mutants-") as directory:
        tree = Tree(directory, room, test)
        sane = tree.test()
        if sane.returncode != 0:
            sys.exit(f"without a mutant, too:\n{sane.stdout}")
        for name in wanted:
            done = tree.judge(*mutants[name])
            said = [line for line in done.stdout.splitlines() if "seed" in line]
            survivors += done.returncode == 0
            print(f"{'killed' if done.returncode else 'NOT KILLED'}: {name}\n    "
                  f"{said[0] if said else ''}", flush=True)
    print(f"{len(wanted) - survivors} of {len(wanted)} mutants killed")
    return 1 if survivors else 0
