"""The manual pages: well-formed, and about the program that there is."""

import re
import shutil
import subprocess

import pytest
from hawser_test.hawserd import BUILD, ROOT, Hawserd
from hawser_test.mdoc import MAN, PAGES, describe, items, names

TABLES = describe()


@pytest.mark.parametrize("page", PAGES)
def test_mandoc_finds_nothing(page):
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    found = subprocess.run(["mandoc", "-T", "lint", "-W", "style", MAN / page], capture_output=True,
                           text=True).stdout.splitlines()
    # The others of this directory are not installed where tests run.
    assert [line for line in found if "referenced manual not found: Xr hawser" not in line] == []


@pytest.mark.parametrize("page", PAGES)
def test_man_warns_of_nothing(page):
    if not shutil.which("man") or not shutil.which("groff"):
        pytest.skip("man or groff is not installed")
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", MAN / page],
                          capture_output=True, text=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"})
    assert (done.returncode, done.stderr) == (0, "")


def test_every_page_is_installed():
    text = (ROOT / "packaging" / "meson.build").read_text()
    assert sorted(re.findall(r"'man/([^']+)'", text)) == sorted(PAGES)
    assert sorted(path.name for path in MAN.iterdir()) == sorted(PAGES)


def test_each_key_of_the_configuration_with_its_default():
    where = {"[daemon]": "daemon", "[store]": "store", "[listen NAME]": "listen", "[stream NAME]": "stream",
             "The way to the service": "stream", "TLS": "stream"}
    told = {}
    for item in items("hawser.ini.5"):
        if item.section in where and item.names and item.names[0] != "tag.*":
            told[where[item.section], item.names[0]] = item.default
    real = {(key["section"], key["key"]): key["default"] for key in TABLES["settings"]}
    assert told == real


def test_each_key_of_a_profile():
    told = set()
    for item in items("hawser-profile.5"):
        if item.section.startswith("[") and not item.section.startswith("[close]"):
            told |= {f"{item.section} {name}" for name in item.names}
    actions = {f"[on NAME] {name}" for name in TABLES["rule_actions"]}
    real = {key for key in TABLES["profile_keys"] if not re.match(r"\[(close|status|failure|explain)\]", key)}
    assert told == real | actions
    assert names("hawser-profile.5", "[close], [status], [failure]") == TABLES["policy_actions"] + ["flap"]


def test_each_profile_that_is_shown_is_one(tmp_path):
    text = (MAN / "hawser-profile.5").read_text()
    shown = [block for block in re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", text, re.M | re.S)
             if block.startswith("[profile]")]
    assert len(shown) == 3
    config = tmp_path / "hawser.ini"
    lines = [f"[daemon]\nprofile_dir = {tmp_path}"]
    for number, block in enumerate(shown):
        (tmp_path / f"shown{number}.ini").write_text(block)
        lines.append(f"[stream s{number}]\nprofile = shown{number}\nhost = h.example")
        if "secrets = token" in block:
            lines.append("token = file:/etc/hawser/token")
    config.write_text("\n".join(lines))
    done = subprocess.run([BUILD / "src" / "ctl" / "hawserctl", "check", "--config", config],
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("table", ["failures", "phases", "link_settings"])
def test_each_word_of_a_profile(table):
    text = (MAN / "hawser-profile.5").read_text()
    for word in TABLES[table]:
        assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text), word


@pytest.mark.parametrize("section,table,more", [
    ("Requests", "ops", ["from", "streams", "types", "notices", "instance", "consumer", "window", "takeover"]),
    ("Errors", "errors", []),
])
def test_each_word_of_the_protocol(section, table, more):
    assert sorted(names("hawser-protocol.7", section)) == sorted(TABLES[table] + more)


def test_each_notice_and_reason():
    told = names("hawser-protocol.7", "Notices")
    # Retention's gap is no stream's: it is the reader's.
    assert sorted(told) == sorted(TABLES["notices"] + TABLES["gap_reasons"] + ["retention"])
    assert names("hawser-protocol.7", "Events") == TABLES["vias"]
    assert names("hawserd.8", "States of a stream") == TABLES["states"]


def test_each_metric_with_its_labels():
    told = {}
    for line in (MAN / "hawser-protocol.7").read_text().partition(".Sh METRICS")[2].splitlines():
        match = re.fullmatch(r"\.It Cm (\w+) No \((\w+)(?:: (.*))?\)", line)
        if match:
            told[match[1]] = (match[2], (match[3] or "").replace(",", ""))
    assert told == {row["name"]: (row["type"], row["labels"]) for row in TABLES["metrics"]}


def test_each_tls_fault_is_explained(hawser):
    hawser.write_config()
    for fault in TABLES["tls_faults"]:
        if fault == "none":
            continue
        done = subprocess.run([hawser.ctl, "explain", f"tls/{fault}", "--config", hawser.config], text=True,
                              capture_output=True)
        assert done.returncode == 0 and done.stdout.startswith(f"tls/{fault}\n"), (fault, done.stderr)


def test_each_member_of_a_status(chat):
    told = set(names("hawser-protocol.7", "STATUS"))
    text = (MAN / "hawser-protocol.7").read_text().partition(".Sh STATUS")[2].partition(".Sh ")[0]
    status = chat.status()
    assert set(chat.status("chat")) <= told
    for part in ("store", "listeners"):
        for member in status[part] if part == "store" else status[part][1]:
            assert re.search(rf"(?<!\w){member}(?!\w)", text), member


def offered(*words):
    ctl = Hawserd()
    try:
        out = subprocess.check_output([ctl.ctl, "complete", *words], text=True)
        return [line.split("\t")[0] for line in out.splitlines()]
    finally:
        ctl.close()


def test_each_command_and_option():
    told = {name for section in ("LOOKING", "CHANGING", "CHECKING") for name in names("hawserctl.1", section)}
    text = (MAN / "hawserctl.1").read_text()
    for command in offered(""):
        assert command in told, command
        for option in offered(command, "-"):
            assert re.search(rf"Fl -{option[2:]}\b", text), (command, option)
