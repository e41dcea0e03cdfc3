"""The packages' descriptions agree with the project and with each other."""

import fnmatch
import json
import re
import shutil
import subprocess

import pytest
from hawser_test.hawserd import BUILD, ROOT

PACKAGING = ROOT / "packaging"
SPEC = PACKAGING / "rpm" / "hawser.spec"
# Where Fedora has what meson puts below its prefix.
MACROS = {"_sbindir": "sbin", "_bindir": "bin", "_sysconfdir": "etc", "_unitdir": "lib/systemd/system",
          "_sysusersdir": "lib/sysusers.d", "_journalcatalogdir": "lib/systemd/catalog",
          "_datadir": "share", "_mandir": "share/man"}


def version():
    return re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text()).group(1)


def installed():
    """What `meson install` places, below its prefix."""
    done = subprocess.run(["meson", "introspect", "--installed", BUILD], check=True,
                          capture_output=True, text=True)
    options = json.loads(subprocess.run(["meson", "introspect", "--buildoptions", BUILD], check=True,
                                        capture_output=True, text=True).stdout)
    prefix = next(option["value"] for option in options if option["name"] == "prefix")
    paths = [path.removeprefix(prefix + "/") for path in json.loads(done.stdout).values()]
    return sorted([*paths, "etc/hawser/hawser.ini"])  # which conf/install places


def spec_files():
    text = SPEC.read_text()
    for line in text[text.index("%files"):text.index("%changelog")].splitlines()[1:]:
        if line and not line.startswith(("%license", "%doc", "%dir")):
            path = line.split()[-1]
            for name, place in MACROS.items():
                path = path.replace("%{" + name + "}", place)
            assert "%" not in path, line
            yield path


def test_versions_are_the_same():
    changelog = (PACKAGING / "debian" / "changelog").read_text()
    spec = SPEC.read_text()
    assert re.match(r"hawser \(([^)]+)-\d+\)", changelog).group(1) == version()
    assert re.search(r"^Version: +(\S+)$", spec, re.M).group(1) == version()
    assert re.search(r"> - (\S+)-\d+$", spec, re.M).group(1) == version()
    assert f"\npkgver={version()}\n" in (PACKAGING / "arch" / "PKGBUILD").read_text()


def test_rpm_has_what_is_installed():
    patterns = list(spec_files())
    paths = installed()
    for path in paths:
        assert any(fnmatch.fnmatch(path, pattern) or path.startswith(pattern.rstrip("/") + "/")
                   for pattern in patterns), f"{path} is in no line of %files"
    for pattern in patterns:
        assert any(fnmatch.fnmatch(path, pattern) or path.startswith(pattern.rstrip("/") + "/")
                   for path in paths), f"{pattern} of %files is nothing that is installed"


def test_an_install_keeps_the_configuration_that_is_there(tmp_path):
    def install():
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--only-changed",
                        "--destdir", tmp_path], check=True, stdout=subprocess.DEVNULL)

    def found():
        return {path.name: path.read_text() for path in tmp_path.rglob("etc/hawser/*")}

    shipped = (ROOT / "conf" / "hawser.ini").read_text()
    install()
    assert found() == {"hawser.ini": shipped}
    install()
    assert found() == {"hawser.ini": shipped}
    own = "[listen mine]\npath = /run/mine.sock\n"
    next(tmp_path.rglob("etc/hawser/hawser.ini")).write_text(own)
    install()
    assert found() == {"hawser.ini": own, "hawser.ini.new": shipped}


def test_rpm_spec_is_well_formed():
    if not shutil.which("rpmspec"):
        pytest.skip("there is no rpmspec")
    done = subprocess.run(["rpmspec", "-P", SPEC], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_arch_package_is_well_formed():
    script = ('set -eu; . "$1"; declare -F build package >/dev/null; '
              'printf "%s " "$pkgname" "$pkgrel" "$pkgdesc" "${arch[0]}" "${license[0]}" "${source[0]}"')
    done = subprocess.run(["bash", "-c", script, "bash", PACKAGING / "arch" / "PKGBUILD"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"hawser-{version()}.tar.gz" in done.stdout
