"""Clocks of a hawserd that are set: tests/tools/setclock.c, preloaded."""

import os

from .disk import runtimes


class Clock:
    def __init__(self, hawser):
        self.path = hawser.directory / "clock"
        self.wall_s = self.boot_s = 0
        self._write()
        library = hawser.build / "tests" / "tools" / "libsetclock.so"
        hawser.environment["LD_PRELOAD"] = " ".join([*runtimes(hawser.binary), str(library)])
        hawser.environment["HAWSER_CLOCK"] = str(self.path)

    def _write(self):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{self.wall_s} {self.boot_s}\n")
        os.replace(fresh, self.path)

    def set_forth(self, seconds):
        """Somebody sets the wall clock; or it has gone on while hawserd was not there."""
        self.wall_s += seconds
        self._write()

    def sleep(self, seconds):
        """The machine was suspended."""
        self.wall_s += seconds
        self.boot_s += seconds
        self._write()
