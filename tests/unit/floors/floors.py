"""The house's floors, as one table, and what checks a source tree and its build against it.

A room (a folder of src) includes only rooms on lower floors and only the libraries named here.
Pure rooms besides reach nothing but memory and text: what their objects leave undefined must come
from a room below or stand in an allow-list.
"""

import fnmatch
import re
import subprocess
from pathlib import Path


class Room:
    def __init__(self, floor, rooms="", libraries="", pure=None, linked=None):
        self.floor = floor
        self.rooms = rooms.split()
        self.libraries = libraries.split()
        # Names of rows of SYMBOLS, None for a room that may call anything.
        self.pure = pure
        # Rooms whose code it may call; others of `rooms` lend only their types.
        self.linked = self.rooms if linked is None else linked.split()


ALL = "base json config wire fanout profile session flow broker store tls io net engine"

ROOMS = {
    "base": Room(0),
    "json": Room(1, "base", pure="text heap"),
    "config": Room(2, "base json", pure="text heap files"),
    "wire": Room(2, "base json", "wslay http zlib", pure="text heap"),
    "fanout": Room(2, "base json", pure="text"),
    "profile": Room(3, "base json config", pure="text heap files"),
    "session": Room(4, "base json config profile", pure="text"),
    "flow": Room(4, "base json config profile", pure="text heap"),
    "broker": Room(4, "base profile", pure="text heap"),
    "store": Room(4, "base", "lmdb threads"),
    "tls": Room(4, "base", "mbedtls"),
    "io": Room(4, "base", "libuv threads"),
    "net": Room(5, "base json wire tls io"),
    "engine": Room(5, "base json config wire fanout profile session flow broker store",
                   pure="text heap",
                   linked="base json config wire fanout profile session flow broker"),
    "reach": Room(6, "base json config wire profile tls io net"),
    "daemon": Room(7, ALL + " reach", "systemd threads"),
    "ctl": Room(7, "base json config wire profile tls io net engine reach"),
}

# Library: the headers it is known by, the names of its meson dependencies, its symbols.
LIBRARIES = {
    "libuv": (["uv.h", "uv/*"], ["libuv_dep"], ["uv_*"]),
    "wslay": (["wslay/*"], ["wslay_dep"], ["wslay_*"]),
    "http": (["http_parser.h", "llhttp.h"], ["http_parser_dep", "llhttp_dep"],
             ["http_parser_*", "http_errno_*", "http_method_str", "http_body_is_final",
              "http_should_keep_alive", "llhttp_*"]),
    "zlib": (["zlib.h"], ["zlib_dep"], ["inflate*", "deflate*", "crc32", "adler32", "zError",
                                     "zlibVersion"]),
    "mbedtls": (["mbedtls/*", "psa/*"], ["mbedtls_dep"], ["mbedtls_*", "psa_*"]),
    "lmdb": (["lmdb.h"], ["lmdb_dep"], ["mdb_*"]),
    "systemd": (["systemd/*"], ["systemd_dep"], ["sd_*"]),
    "threads": (["pthread.h", "threads.h"], ["threads_dep"], ["pthread_*"]),
}

# Rows of what pure rooms may call.
SYMBOLS = {
    "text": """mem* __mem* explicit_bzero strlen strnlen strcmp strncmp strcasecmp strncasecmp strchr
        strchrnul strrchr strstr strcasestr strspn strcspn strpbrk strcpy strncpy stpcpy strcat strncat strsep
        strtok_r strtol strtoul strtoll strtoull strtod strtof __isoc??_strto* snprintf vsnprintf sscanf
        __isoc??_sscanf qsort qsort_r bsearch abs labs abort __assert_fail __errno_location __ctype_*
        tolower toupper is[a-z]* strerror strerror_r strerrorname_np __xpg_strerror_r
        inet_pton inet_ntop pow ldexp frexp floor ceil lround llround fmod log exp sqrt fabs""",
    "heap": """malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf
        posix_memalign aligned_alloc""",
    "files": """open open64 openat openat64 read pread close fopen fopen64 fdopen fclose fread fgets fgetc
        getc getline feof ferror fileno fstat fstat64 stat stat64 lstat lstat64 fstatat fstatat64
        opendir fdopendir readdir readdir64 closedir scandir scandir64 alphasort alphasort64
        dirfd access realpath basename dirname __xpg_basename""",
}
# What compilers and sanitizers put in.
COMPILER = """__asan_* __ubsan_* __sanitizer_* __sancov_* __tsan_* __gcov_* __llvm_* __stack_chk_fail
    _GLOBAL_OFFSET_TABLE_ __tls_get_addr __start_* __stop_* __u*[td]i3 __div*[td]i3 __mul*[td]i* __popcount*
    __cpu_model __cpu_indicator_init __memcpy_chk __*_chk""".split()

# Why a symbol is not for a pure room, to say so; anything else that is not allowed is refused too.
FORBIDDEN = {
    "a clock": "clock_* time gettimeofday localtime* gmtime* ftime timespec_get nanosleep usleep sleep",
    "randomness of its own": "getrandom getentropy rand srand random srandom rand_r",
    "a file": "open* fopen* read pread write pwrite close creat unlink rename stat* fstat* lstat* "
              "opendir readdir* mmap* fsync fdatasync fwrite fputs fputc putc puts printf fprintf",
    "a socket": "socket connect bind listen accept* send* recv* poll ppoll select epoll_* getaddrinfo",
    "libuv": "uv_*",
    "a thread": "pthread_* thrd_* mtx_*",
    "memory of its own": SYMBOLS["heap"],
    "a process": "fork exec* system popen kill signal sigaction exit _exit getenv setenv",
}

# Headers of the C library and the kernel; any other <...> header needs a row in LIBRARIES. Pure
# rooms have the first set only, and "files" the second.
PURE_HEADERS = set("""assert.h ctype.h errno.h float.h inttypes.h limits.h math.h stdalign.h stdarg.h
    stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h
    arpa/inet.h immintrin.h emmintrin.h smmintrin.h nmmintrin.h tmmintrin.h arm_neon.h arm_acle.h endian.h""".split())
FILE_HEADERS = set("dirent.h fcntl.h unistd.h sys/stat.h sys/types.h libgen.h".split())
SYSTEM_HEADERS = PURE_HEADERS | FILE_HEADERS | set("""getopt.h grp.h locale.h net/if.h
    netdb.h netinet/in.h netinet/tcp.h poll.h pwd.h sched.h signal.h stdatomic.h
    sys/eventfd.h sys/file.h sys/ioctl.h sys/mman.h sys/prctl.h sys/random.h sys/resource.h
    sys/socket.h sys/statvfs.h sys/time.h sys/timerfd.h sys/uio.h sys/un.h sys/utsname.h sys/vfs.h
    sys/wait.h sysexits.h syslog.h termios.h time.h cpuid.h""".split())
HEADER_PREFIXES = ("linux/",)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def check_table(rooms=ROOMS):
    """The table itself: a room may use lower floors only, never its own."""
    errors = []
    for name, room in rooms.items():
        for other in room.rooms:
            if rooms[other].floor >= room.floor:
                errors.append(f"table: {name} (floor {room.floor}) may not stand on {other} "
                              f"(floor {rooms[other].floor})")
    return errors


def library_of(header):
    for library, (patterns, _, _) in LIBRARIES.items():
        if any(fnmatch.fnmatchcase(header, pattern) for pattern in patterns):
            return library
    return None


def check_include(name, room, kind, header, source):
    if kind == '"':
        if "/" not in header:
            return f'"{header}": write it as "room/file.h"'
        other = header.split("/")[0]
        if other not in ROOMS:
            return f'"{header}": no such room'
        if other != name and other not in room.rooms:
            return f'"{header}": {name} may not include {other}'
        if not (source / header).is_file():
            return f'"{header}": no such file'
        return None
    library = library_of(header)
    if library:
        return None if library in room.libraries else f"<{header}>: {name} may not use {library}"
    known = SYSTEM_HEADERS
    if room.pure is not None:
        known = PURE_HEADERS | (FILE_HEADERS if "files" in room.pure.split() else set())
    if header in known or (room.pure is None and header.startswith(HEADER_PREFIXES)):
        return None
    return f"<{header}>: not for {name}, by the table in tests/unit/floors"


def check_includes(source):
    """source: the src folder."""
    errors = []
    for path in sorted(source.rglob("*.[ch]")):
        name = path.relative_to(source).parts[0]
        if name not in ROOMS:
            errors.append(f"{path}: in no room of the table")
            continue
        text = path.read_text(errors="replace")
        for match in INCLUDE.finditer(text):
            error = check_include(name, ROOMS[name], *match.groups(), source)
            if error:
                line = text.count("\n", 0, match.start()) + 1
                errors.append(f"{path}:{line}: {error}")
    return errors


def check_meson(source):
    """What src/meson.build gives each room's static library."""
    errors = []
    path = source / "meson.build"
    text = re.sub(r"#.*", "", path.read_text())
    declared = re.findall(
        r"static_library\(\s*'hawser_(\w+)'[^()]*?dependencies:\s*\[([^\]]*)\]\s*\)", text, re.S)
    seen = dict(declared)
    for name in ROOMS:
        if name not in seen and name not in ("daemon", "ctl"):
            errors.append(f"{path}: no static library hawser_{name}")
    owners = {dep: library for library, (_, deps, _) in LIBRARIES.items() for dep in deps}
    for name, listed in declared:
        room = ROOMS.get(name)
        if room is None:
            errors.append(f"{path}: hawser_{name} is in no room of the table")
            continue
        for dep in (d.strip() for d in listed.split(",") if d.strip()):
            other = dep[: -len("_dep")] if dep.endswith("_dep") else dep
            if dep in owners:
                if owners[dep] not in room.libraries:
                    errors.append(f"{path}: {name} may not depend on {owners[dep]}")
            elif other not in ROOMS:
                errors.append(f"{path}: {name} depends on {dep}, which the table does not know")
            elif other not in room.linked:
                errors.append(f"{path}: {name} may not depend on {other}")
    return errors


def symbols(nm, archive, option):
    run = subprocess.run([nm, "-P", option, str(archive)], capture_output=True, text=True,
                         check=True)
    found = []
    member = archive.name
    for line in run.stdout.splitlines():
        header = re.match(r".*\[(.*)\]:$", line)
        if header:
            member = header.group(1)
        elif line.strip():
            found.append((member, line.split()[0]))
    return found


def matches(symbol, patterns):
    return any(fnmatch.fnmatchcase(symbol, pattern) for pattern in patterns)


def unchecked(symbol):
    """The plain name of a fortified one: __snprintf_chk is snprintf."""
    match = re.fullmatch(r"__(\w+)_chk", symbol)
    return match.group(1) if match else symbol


def why_forbidden(symbol):
    for why, patterns in FORBIDDEN.items():
        if matches(symbol, patterns.split()):
            return f", which is {why}"
    return ""


def check_symbols(source, build, nm="nm"):
    """build: the folder that holds libhawser_ROOM.a."""
    errors = []
    for name, room in ROOMS.items():
        if room.pure is None or not any((source / name).glob("*.c")):
            continue
        archive = build / f"libhawser_{name}.a"
        if not archive.is_file():
            errors.append(f"{archive}: not built, though {name} has sources")
            continue
        known = {symbol for _, symbol in symbols(nm, archive, "--defined-only")}
        for other in room.linked:
            below = build / f"libhawser_{other}.a"
            if below.is_file() and any((source / other).glob("*.c")):
                known |= {symbol for _, symbol in symbols(nm, below, "--defined-only")}
        allowed = [pattern for row in room.pure.split() for pattern in SYMBOLS[row].split()]
        allowed += [pattern for library in room.libraries for pattern in LIBRARIES[library][2]]
        for member, symbol in symbols(nm, archive, "-u"):
            plain = unchecked(symbol)
            if symbol in known or matches(plain, allowed):
                continue
            if plain == symbol and matches(symbol, COMPILER):
                continue
            errors.append(f"{archive.name}({member}): {name} may not call "
                          f"{plain}{why_forbidden(plain)}")
    return errors


def check_tree(root, build, nm="nm"):
    source = Path(root) / "src"
    return (check_table() + check_includes(source) + check_meson(source)
            + check_symbols(source, Path(build) / "src", nm))
