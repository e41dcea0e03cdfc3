"""A bad disk below a hawserd's state directory: tests/tools/baddisk.c, preloaded."""

import re
import subprocess
from pathlib import Path


class Disk:
    def __init__(self, hawser):
        self.library = hawser.build / "tests" / "tools" / "libbaddisk.so"
        self.orders = hawser.directory / "disk-orders"
        self.number = 0
        self.order("ok")
        hawser.environment["LD_PRELOAD"] = " ".join([*runtimes(hawser.binary), str(self.library)])
        hawser.environment["HAWSER_DISK"] = str(hawser.state.resolve())
        hawser.environment["HAWSER_DISK_ORDERS"] = str(self.orders)

    def order(self, what):
        """Holds from the next write on; the same order again counts anew."""
        self.number += 1
        new = self.orders.with_suffix(".new")
        new.write_text(f"{what} # {self.number}\n")
        new.rename(self.orders)


def runtimes(binary):
    """The sanitizers' libraries that it is linked to; they insist upon being the first."""
    linked = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=True).stdout
    return [path for name in ("asan", "ubsan", "tsan")
            for path in re.findall(rf"=> (\S*lib{name}\S*)", linked)]


def resident_bytes(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) << 10
