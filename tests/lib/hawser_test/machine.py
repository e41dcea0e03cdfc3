"""A Debian of its own with systemd as its first process, under systemd-nspawn.

The root file system is bootstrapped once (mmdebstrap, from where apt on this machine gets Debian) and
kept in the build directory; a machine writes into memory laid over it. All that a machine mounts is in
a mount namespace of its own, and its processes, systemd-nspawn included, are in a PID namespace that
ends when we do: a test that is killed leaves nothing but an empty cgroup, which the next one removes. It
shares the host's network, so that a service of the test is a service to it.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hawser_test.hawserd import BUILD, ROOT, wait_until

CGROUP = Path("/sys/fs/cgroup")
PREFIX = "hawser-test-"
PR_SET_PDEATHSIG = 1
TOOLS = ("mmdebstrap", "systemd-nspawn", "dpkg-buildpackage", "dh", "nsenter", "unshare")
# What of apt's configuration a bootstrap needs to reach the same archive.
APT_KEYS = re.compile(r"^Acquire::(https?(::[^ ]*)?::Proxy|Retries|Check-[A-Za-z-]+) ")
LIBC = ctypes.CDLL(None, use_errno=True)


class Unable(Exception):
    """This computer cannot run one; says why."""


def check_able():
    if os.geteuid() != 0:
        raise Unable("a machine wants root")
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        raise Unable(f"there is no {' '.join(missing)}")
    if not os.access(CGROUP, os.W_OK):
        raise Unable("cgroups cannot be written here")


@contextlib.contextmanager
def locked(path):
    """One process at a time; nothing is left where it is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# ---- the package ----

def package():
    """The .deb of this tree, or the one that $HAWSER_DEB names. Built without optimisation: it is to
    work here, not to be fast. Always in the same directory, so that ccache knows it again."""
    if os.environ.get("HAWSER_DEB"):
        return Path(os.environ["HAWSER_DEB"])
    directory = BUILD / "deb"
    environment = dict(os.environ, DEB_BUILD_OPTIONS="noopt noautodbgsym parallel=2",
                       DEB_CFLAGS_APPEND="-g0", CCACHE_DIR=str(BUILD / "ccache"))
    log = BUILD / "deb.log"
    with locked(BUILD / "deb.lock"), open(log, "w") as out:
        status = subprocess.run([ROOT / "packaging" / "deb", directory, "-us", "-uc", "-b"],
                                env=environment, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=out).returncode
    assert status == 0, f"packaging/deb: {status}\n{log.read_text()[-4000:]}"
    return next(directory.glob("hawser_*.deb"))


def field(deb, name):
    return subprocess.run(["dpkg-deb", "-f", deb, name], check=True, capture_output=True,
                          text=True).stdout.strip()


def libraries(deb):
    """What the package depends upon, for the bootstrap: names without versions or alternatives."""
    return [re.split(r"[ (:|]", entry.strip())[0] for entry in field(deb, "Depends").split(",")]


def successor(deb, directory):
    """The same package with a higher version."""
    tree = directory / "successor"
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN" / "control"
    version = field(deb, "Version")
    control.write_text(control.read_text().replace(f"Version: {version}", f"Version: {version}+1"))
    target = directory / "successor.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, target], check=True,
                   stdout=subprocess.DEVNULL)
    return target


# ---- the root file system ----

def archive():
    """(release, address of the archive) of this machine's Debian."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines()
                   if "=" in line)
    codename = release.get("VERSION_CODENAME", "").strip('"')
    rows = subprocess.run(["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(SITE)",
                           "Created-By: Packages"], capture_output=True, text=True).stdout
    for row in rows.splitlines():
        name, component, site = row.split(" ", 2)
        if (name, component) == (codename, "main") and site:
            return codename, site
    raise Unable(f"apt knows no archive of {codename or 'this release'}")


def apt_options():
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True).stdout
    return [f"--aptopt={line}" for line in dump.splitlines() if APT_KEYS.match(line)]


def root_file_system(packages):
    """Its directory; made where it is missing or of other packages."""
    codename, site = archive()
    include = ",".join(sorted({"systemd", "systemd-sysv", *packages}))
    base = BUILD / "machine"
    root = base / hashlib.sha256(f"{codename} {site} {include}".encode()).hexdigest()[:16]
    with locked(base / "lock"):
        if (root / "usr").is_dir():
            return root
        for old in base.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
        fresh = base / "fresh"
        command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory",
                   f"--include={include}", *apt_options(), "--dpkgopt=path-exclude=/usr/share/doc/*",
                   "--dpkgopt=path-exclude=/usr/share/man/*",
                   "--dpkgopt=path-exclude=/usr/share/locale/*", codename, str(fresh), site]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise Unable(f"no Debian to be had from {site}: {done.stderr.strip()[-500:]}")
        (fresh / "etc" / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        fresh.rename(root)
    return root


# ---- cgroups ----

def hierarchies():
    """Where the machine's systemd keeps its units: one directory of cgroup 2, or two of a hybrid."""
    return [path for path in (CGROUP / "systemd", CGROUP / "unified") if path.is_dir()] or [CGROUP]


def remove_cgroup(path):
    for directory, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(directory)


def sweep():
    """Empty cgroups of those that were killed."""
    for hierarchy in hierarchies():
        for path in hierarchy.glob(PREFIX + "*"):
            command = Path("/proc", path.name[len(PREFIX):], "cmdline")
            if not command.exists() or not command.read_bytes():  # gone, or a zombie
                remove_cgroup(path)


# ---- the machine ----

def children(pid):
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


class Machine:
    def __init__(self, root):
        sweep()
        self.name = f"{PREFIX}{os.getpid()}"
        self.log = tempfile.TemporaryFile()
        self.leader = None
        booted = Path("/run/systemd/system").is_dir()
        # Memory laid over the root, where nobody else sees it and it needs no cleaning up.
        script = ('set -e; mount -t tmpfs -o size=1g tmpfs /mnt; mkdir /mnt/upper /mnt/work /mnt/root; '
                  f'mount -t overlay -o lowerdir={root},upperdir=/mnt/upper,workdir=/mnt/work '
                  'overlay /mnt/root; exec "$@"')
        # Of systemd-nspawn's own death its guest hears nothing; of that of a PID namespace all do.
        command = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork",
                   "--kill-child=KILL", "--mount-proc", "sh", "-c", script, "sh",
                   "systemd-nspawn", "--quiet", "--directory=/mnt/root", "--boot", "--register=no",
                   f"--machine={self.name}", "--resolv-conf=off", "--timezone=off",
                   "--link-journal=no", "--console=pipe", "--keep-unit"]
        if booted:  # the cgroup is this computer's systemd's to give
            command = ["systemd-run", "--quiet", "--collect", "--scope", "--property=Delegate=yes",
                       *command]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, preexec_fn=lambda: self.enter(booted),
                                        start_new_session=True)
        try:
            self.leader = wait_until(self.find_leader, "systemd in the machine", 60)
            self.root = Path(f"/proc/{self.leader}/root")
            wait_until(self.is_up, lambda: f"the machine to boot: {self.said()}", 90, every=0.1)
        except BaseException:
            self.kill()
            raise

    def enter(self, booted):
        """In the child: it dies with us, and makes its own cgroup where there is no systemd to ask."""
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if not booted:
            for hierarchy in hierarchies():
                group = hierarchy / self.name
                group.mkdir(exist_ok=True)
                (group / "cgroup.procs").write_text(str(os.getpid()))

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-4000:]

    def find_leader(self):
        if self.process.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended: {self.said()}")
        for nspawn in children(self.process.pid):
            for child in children(nspawn):
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                        return child
        return None

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended: {self.said()}")
        done = self.run("systemctl", "is-system-running", status=None)
        return done.strip() in ("running", "degraded")

    def run(self, *command, status=0, timeout=90, errors=False):
        """A command within; its output. status None: any."""
        done = subprocess.run(["nsenter", "-t", str(self.leader), "-a", "--", *map(str, command)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                                                    "LANG": "C.UTF-8",
                                                    "DEBIAN_FRONTEND": "noninteractive"})
        assert status is None or done.returncode == status, (command, done.returncode, done.stdout,
                                                             done.stderr)
        return done.stdout + (done.stderr if errors else "")

    def path(self, path):
        """A path of the machine, as one of ours."""
        return self.root / str(path).lstrip("/")

    def write(self, path, text, mode=0o644):
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def show(self, unit, name):
        return self.run("systemctl", "show", "-P", name, unit).strip()

    def journal(self, unit="hawserd", *options):
        return self.run("journalctl", "--no-pager", "-u", unit, *options)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        if self.leader:
            wait_until(lambda: not Path(f"/proc/{self.leader}").exists(), "the machine to end", 30)
        for hierarchy in hierarchies():
            remove_cgroup(hierarchy / self.name)


def main():
    """A machine to look around in, with the package of this tree: machine.py [COMMAND...]"""
    deb = package()
    machine = Machine(root_file_system(libraries(deb)))
    try:
        shutil.copy(deb, machine.path("/root/hawser.deb"))
        print(machine.run("apt-get", "install", "-y", "/root/hawser.deb", errors=True))
        command = sys.argv[1:] or ["bash", "-l"]
        subprocess.run(["nsenter", "-t", str(machine.leader), "-a", "--", *command])
    finally:
        machine.kill()


if __name__ == "__main__":
    main()
