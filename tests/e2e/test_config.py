"""What is wrong in a configuration is said at once, all of it, with file and line."""

import re
import stat
import subprocess

import pytest


def errors_of(hawser, text):
    hawser.write_config()
    hawser.config.write_text(text)
    status, out, errors = hawser.run("--config", hawser.config, "--check")
    assert status == 78, (status, out, errors)
    # Without --check it does not start either, and says the same.
    status, _, again = hawser.run("--config", hawser.config)
    assert status == 78
    assert again == errors
    return errors.splitlines()


def test_F58_all_errors_at_once_with_file_and_line(hawser):
    lines = errors_of(hawser, f"""\
[daemon]
log = loud
state_dri = /x
profile_dir = {profiles(hawser)}
[store]
retain_size = 12 parsecs
[listen events]
mode = 0999
[stream chat]
profile = generic
[strem news]
profile = generic
[stream odds]
profile = scaiwav
[stream gold]
profile = scaiwave
host = chat.example.com
token = file:/x
heartbeat.idel = 3s
heartbeat.idle = soon
""")
    text = "\n".join(lines)
    for line in lines:
        assert re.match(re.escape(str(hawser.config)) + r":\d+: .", line), line
    for number, words in {2: "log", 3: "state_dir", 6: "retain_size", 8: "mode", 11: "stream",
                          13: "scaiwave", 19: "idel", 20: "idle"}.items():
        assert re.search(rf":{number}: .*{re.escape(words)}", text), (number, words, text)
    for number in (3, 11, 13, 19):
        assert re.search(rf":{number}: .*did you mean", text), (number, text)


@pytest.mark.parametrize("text,line,words", [
    ("[daemon]\nlog = info\nlog = debug\n", 3, "log"),
    ("log = info\n", 1, "section"),
    ("[daemon\n", 1, ""),
    ("[daemon]\nlog\n", 2, ""),
    ("[stream a]\nprofile = scaiwave\ntoken = file:/x\n", 1, "host"),
    ("[stream a]\nprofile = scaiwave\nhost = h\n", 1, "token"),
    ("[stream a]\nprofil = generic\n", 1, "profile"),
    ("[stream a b]\nprofile = generic\n", 1, ""),
    ("[stream a]\nprofile = generic\nurl = http://x/\n", 3, ""),
    ("[listen a]\nprotocol = ndjson\n", 1, "path"),
    ("[stream a]\nprofile = generic\nurl = wss://x/\nclose.4001 = explode\n", 4, "explode"),
    ("[stream a]\nprofile = generic\nurl = wss://x/\nbackoff.jitter = 7\n", 4, "jitter"),
])
def test_F58_one_error(hawser, text, line, words):
    lines = errors_of(hawser, text.replace("[stream", f"[daemon]\nprofile_dir = {profiles(hawser)}\n[stream", 1)
                      if "[stream" in text else text)
    shift = 2 if "[stream" in text else 0
    assert any(f":{line + shift}: " in entry and words in entry for entry in lines), lines


PROFILE_WITH_FAULTS = """\
[profile]
title = Mine
params = host
secrets = token
[connect]
url = wss://${hots}/ws
header.Authorization = Bearer ${secret.tokn}
[message]
split = data/*
[on a]
match = /type = "x"
do = live
[on b]
match = /type == "y"
do = explode
[send hi]
text = {"a":"${nope}"}
[close]
4001 = refrsh
[limits]
connects = 3
[catchup]
via = http
http = missing
"""


def test_hawserctl_check_finds_every_fault_of_a_profile(hawser, tmp_path):
    """Without a daemon, and once each, though two streams have this profile."""
    (tmp_path / "mine.ini").write_text(PROFILE_WITH_FAULTS)
    hawser.sections["daemon"]["profile_dir"] = tmp_path
    for name in ("a", "b"):
        hawser.stream(name, profile="mine", host="h", token="a-literal" if name == "b" else "env:A")
    hawser.write_config()
    done = subprocess.run([hawser.ctl, "check", "--config", hawser.config], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    for number, words in {6: "hots", 7: "secret.tokn", 9: "data/*", 11: "==", 15: "explode",
                          17: "nope", 19: "did you mean `refresh`", 21: "N/PERIOD",
                          24: "missing"}.items():
        assert len([line for line in lines if f"mine.ini:{number}: " in line and words in line]) == 1, (
            number, lines)
    assert any("hawser.ini" in line and "a secret is not written" in line for line in lines)
    assert len(lines) == len(set(lines))
    assert hawser.hawserctl("profiles", "--config", hawser.config, status=1)


def profiles(hawser):
    return hawser.sections["daemon"]["profile_dir"]


def test_conf_d_overrides_in_name_order(hawser):
    hawser.sections = {"daemon": {"profile_dir": profiles(hawser), "state_dir": hawser.state,
                                  "runtime_dir": hawser.runtime}}
    hawser.write_config()
    folder = hawser.directory / "conf.d"
    folder.mkdir()
    (folder / "20-b.ini").write_text("[stream a]\nprofile = generic\nurl = wss://b/\n")
    (folder / "10-a.ini").write_text("[stream a]\nprofile = nonsense\nurl = wss://a/\n")
    (folder / "30-c.bak").write_text("nonsense\n")
    status, out, errors = hawser.run("--config", hawser.config, "--check")
    assert status == 0, errors
    (folder / "40-d.ini").write_text("[stream a]\nurll = wss://a/\n")
    status, _, errors = hawser.run("--config", hawser.config, "--check")
    assert status == 78
    assert "40-d.ini:2:" in errors


def test_values_hold_semicolons_and_continue(hawser):
    hawser.sections["stream a"] = {
        "profile": "generic", "url": "wss://h.example/a;b",
        "tag.note": "one\ntwo ; three # four"}
    status, _, errors = hawser.check()
    assert status == 0, errors


def test_file_that_is_missing(hawser):
    status, _, errors = hawser.run("--config", "/nonexistent/hawser.ini", "--check")
    assert status == 78
    assert "/nonexistent/hawser.ini" in errors


def test_version_and_usage(hawser):
    status, out, _ = hawser.run("--version")
    assert status == 0
    assert re.fullmatch(r"hawserd \d+\.\d+\.\d+\n", out)
    assert hawser.run("--no-such-option")[0] not in (0, 78)


def test_check_touches_nothing(hawser, service, ca):
    hawser.scaiwave(service, ca=ca)
    status, out, _ = hawser.check()
    assert status == 0
    assert list(hawser.state.iterdir()) == []
    assert list(hawser.runtime.iterdir()) == []
    assert service.stats()["dials"] == []


def limited(shell):
    """hawserd under the shell's limits."""
    return ["sh", "-c", shell + '; exec "$@"', "sh"]


def test_F54_descriptors_are_raised_to_what_is_allowed(hawser):
    hawser.stream("feed", profile="generic", url="ws://127.0.0.1:1/")
    hawser.wrapper = limited("ulimit -Hn 4096; ulimit -Sn 40")
    hawser.start()
    consumers = [hawser.consumer() for _ in range(100)]
    assert all("hawser" in consumer.greeting for consumer in consumers)
    for consumer in consumers:
        consumer.close()
    assert "LimitNOFILE" not in hawser.log()


def test_F54_too_few_descriptors_are_said(hawser):
    hawser.stream("feed", profile="generic", url="ws://127.0.0.1:1/")
    hawser.wrapper = limited("ulimit -n 200")
    hawser.start()
    assert "LimitNOFILE" in hawser.log()


@pytest.mark.parametrize("umask", ["000", "077"])
def test_what_is_made_has_its_mode_under_any_umask(hawser, umask):
    made = hawser.directory / "made"
    hawser.environment["RUNTIME_DIRECTORY"] = str(made)
    hawser.control = made / "control.sock"
    hawser.stream("feed", profile="generic", url="ws://127.0.0.1:1/")
    hawser.wrapper = limited(f"umask {umask}")
    hawser.start()
    assert stat.S_IMODE(made.stat().st_mode) == 0o755
    assert stat.S_IMODE(hawser.control.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in hawser.state.rglob("*"))


@pytest.mark.parametrize("ours", [True, False])
def test_log_is_for_the_journal_only_where_it_goes_there(hawser, ours):
    """$JOURNAL_STREAM names the socket; a program started from a service inherits it."""
    log = hawser.log_path.stat()
    hawser.environment["JOURNAL_STREAM"] = f"{log.st_dev}:{log.st_ino + (not ours)}"
    hawser.stream("feed", profile="generic", url="ws://127.0.0.1:1/")
    hawser.start()
    assert (re.match(r"<\d>", hawser.log()) is not None) == ours
