#!/usr/bin/python3
"""Checks this tree against the floors; and the checker against trees that break them.

    test_floors.py SOURCE_ROOT BUILD_ROOT CC NM AR
"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
import floors  # noqa: E402

SOURCE, BUILD, CC, NM, AR = sys.argv[1:6]


class ThisTree(unittest.TestCase):
    def test_table(self):
        self.assertEqual(floors.check_table(), [])

    def test_includes(self):
        self.assert_none(floors.check_includes(Path(SOURCE) / "src"))

    def test_meson(self):
        self.assert_none(floors.check_meson(Path(SOURCE) / "src"))

    def test_symbols(self):
        self.assert_none(
            floors.check_symbols(Path(SOURCE) / "src", Path(BUILD) / "src", NM))

    def assert_none(self, errors):
        if errors:
            self.fail("\n" + "\n".join(errors))


class BadTrees(unittest.TestCase):
    """Each makes a small tree that keeps the floors, breaks one thing, and wants it said."""

    def setUp(self):
        self.temp = tempfile.TemporaryDirectory()
        self.addCleanup(self.temp.cleanup)
        self.source = Path(self.temp.name) / "src"
        self.build = Path(self.temp.name) / "build"
        self.build.mkdir()
        rows = []
        for name, room in floors.ROOMS.items():
            (self.source / name).mkdir(parents=True)
            (self.source / name / f"{name}.h").write_text("")
            deps = [f"{other}_dep" for other in room.linked]
            deps += [floors.LIBRARIES[library][1][0] for library in room.libraries]
            rows.append(f"static_library('hawser_{name}', {name}_sources, "
                        f"dependencies: [{', '.join(deps)}])\n")
        (self.source / "meson.build").write_text("".join(rows))

    def write(self, path, text):
        (self.source / path).write_text(text)

    def compile(self, name, text):
        self.write(f"{name}/{name}.c", text)
        obj = self.build / f"{name}.o"
        subprocess.run([*CC.split(), "-w", "-O0", "-c", str(self.source / name / f"{name}.c"),
                        "-o", str(obj)], check=True)
        subprocess.run([AR, "rcs", str(self.build / f"libhawser_{name}.a"), str(obj)], check=True)

    def assert_said(self, errors, *words):
        self.assertEqual(len(errors), 1, errors)
        for word in words:
            self.assertIn(word, errors[0])

    def test_the_good_tree_is_good(self):
        self.assertEqual(floors.check_includes(self.source), [])
        self.assertEqual(floors.check_meson(self.source), [])
        self.assertEqual(floors.check_symbols(self.source, self.build, NM), [])

    def test_include_upwards(self):
        self.write("json/a.c", '#include "base/base.h"\n#include "flow/flow.h"\n')
        self.assert_said(floors.check_includes(self.source), "a.c:2", "json may not include flow")

    def test_include_of_a_sibling(self):
        self.write("flow/a.h", '#include "session/session.h"\n')
        self.assert_said(floors.check_includes(self.source), "flow may not include session")

    def test_the_broker_knows_profiles_and_no_session(self):
        self.write("broker/a.h", '#include "profile/profile.h"\n#include "session/session.h"\n')
        self.assert_said(floors.check_includes(self.source), "broker may not include session")

    def test_include_without_room(self):
        self.write("json/a.c", '#include "json.h"\n')
        self.assert_said(floors.check_includes(self.source), "room/file.h")

    def test_include_of_no_room(self):
        self.write("json/a.c", '#include "attic/a.h"\n')
        self.assert_said(floors.check_includes(self.source), "no such room")

    def test_include_of_no_file(self):
        self.write("json/a.c", '#include "base/gone.h"\n')
        self.assert_said(floors.check_includes(self.source), "no such file")

    def test_libraries_stay_in_their_rooms(self):
        homes = {"uv.h": "io", "wslay/wslay.h": "wire", "mbedtls/ssl.h": "tls", "lmdb.h": "store",
                 "http_parser.h": "wire", "zlib.h": "wire", "systemd/sd-daemon.h": "daemon"}
        for header, home in homes.items():
            for name in floors.ROOMS:
                self.write(f"{name}/a.c", f"#  include <{header}>\n")
            errors = floors.check_includes(self.source)
            self.assertEqual(len(errors), len(floors.ROOMS) - 1, (header, errors))
            self.assertFalse([e for e in errors if f"/{home}/a.c" in e], header)

    def test_unknown_library(self):
        self.write("io/a.c", "#include <curl/curl.h>\n")
        self.assert_said(floors.check_includes(self.source), "curl/curl.h")

    def test_header_of_clocks_in_a_pure_room(self):
        self.write("session/a.c", "#include <time.h>\n")
        self.assert_said(floors.check_includes(self.source), "time.h")

    def test_folder_that_is_no_room(self):
        (self.source / "attic").mkdir()
        self.write("attic/a.c", "")
        self.assert_said(floors.check_includes(self.source), "no room")

    def test_meson_gives_a_room_too_much(self):
        path = self.source / "meson.build"
        good = path.read_text()
        for dep, words in (("libuv_dep", "libuv"), ("engine_dep", "engine"), ("x_dep", "x_dep")):
            path.write_text(good.replace("json_sources, dependencies: [",
                                         f"json_sources, dependencies: [{dep}, "))
            self.assert_said(floors.check_meson(self.source), "json", words)

    def test_meson_forgets_a_room(self):
        path = self.source / "meson.build"
        path.write_text(path.read_text().replace("'hawser_flow'", "'flow'"))
        self.assert_said(floors.check_meson(self.source), "hawser_flow")

    def test_pure_rooms_may_copy_and_print(self):
        self.compile("session", "int memcmp(); int snprintf(); int f(void)"
                                "{ return memcmp() + snprintf(); }")
        self.assertEqual(floors.check_symbols(self.source, self.build, NM), [])

    def test_pure_rooms_may_call_below(self):
        self.compile("base", "int base_f(void) { return 1; }")
        self.compile("session", "int base_f(void); int f(void) { return base_f(); }")
        self.assertEqual(floors.check_symbols(self.source, self.build, NM), [])

    def test_forbidden_calls(self):
        calls = ("clock_gettime", "time", "gettimeofday", "open", "read", "socket", "write",
                 "uv_run", "pthread_mutex_lock", "getenv", "something_else")
        text = "".join(f"int {call}();\n" for call in calls)
        text += f"int f(void) {{ return {'() + '.join(calls)}(); }}"
        for room in ("json", "wire", "fanout", "session", "flow", "broker", "engine"):
            self.compile(room, text)
            errors = floors.check_symbols(self.source, self.build, NM)
            self.assertEqual(len(errors), len(calls), errors)
            for call in calls:
                self.assertTrue([e for e in errors if f"{room} may not call {call}" in e], call)
            (self.source / room / f"{room}.c").unlink()

    def test_files_only_for_those_that_load_files(self):
        for room in ("config", "profile"):
            self.compile(room, "int fopen(); int opendir(); int f(void)"
                               "{ return fopen() + opendir(); }")
        self.assertEqual(floors.check_symbols(self.source, self.build, NM), [])
        self.compile("config", "int socket(); int f(void) { return socket(); }")
        self.assert_said(floors.check_symbols(self.source, self.build, NM), "socket")

    def test_no_heap_in_session_and_fanout(self):
        text = "char *malloc(); void free(); void f(void) { free(malloc()); }"
        self.compile("flow", text)
        self.assertEqual(floors.check_symbols(self.source, self.build, NM), [])
        for room in ("session", "fanout"):
            self.compile(room, text)
            errors = floors.check_symbols(self.source, self.build, NM)
            self.assertEqual(len(errors), 2, errors)
            (self.source / room / f"{room}.c").unlink()

    def test_fortified_names_count_as_plain(self):
        self.compile("session", "int __read_chk(); int __snprintf_chk(); int f(void)"
                                "{ return __read_chk() + __snprintf_chk(); }")
        self.assert_said(floors.check_symbols(self.source, self.build, NM), "call read")

    def test_sanitizers_are_no_calls(self):
        self.compile("session", "int __asan_report_load8(); int __ubsan_handle_x(); int f(void)"
                                "{ return __asan_report_load8() + __ubsan_handle_x(); }")
        self.assertEqual(floors.check_symbols(self.source, self.build, NM), [])

    def test_types_lent_are_not_code_lent(self):
        self.compile("store", "int store_open(void) { return 1; }")
        self.compile("engine", "int store_open(void); int f(void) { return store_open(); }")
        self.assert_said(floors.check_symbols(self.source, self.build, NM), "store_open")

    def test_room_that_was_not_built(self):
        self.write("json/a.c", "")
        self.assert_said(floors.check_symbols(self.source, self.build, NM), "not built")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
