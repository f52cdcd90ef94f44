"""Prove that an unpacked Python works where it lies.

    <tree>/bin/python3.13 -I -B probe.py REQUEST.json

REQUEST.json says what the tree promises:

    prefix           where the tree is now
    compiled_prefix  the prefix that was given to configure
    modules          the extension modules that the recipe promises
    flavor           "runtime" or "builder"
    scratch          an empty directory to write to
    tls_cert         a PEM certificate for localhost, signed by itself,
    tls_key          and its key
    compiler         whether this root has a C compiler
    forbidden        strings that no sysconfig value may contain

One JSON object goes to standard output:

    {"checks": [{"name": "import:_ssl", "status": "passed", "detail": ""}, ...]}

A check is "passed", "failed" or "skipped"; it is skipped only for want of
something in the root around the tree, never in the tree. The detail may have
several lines. The exit code is 0 whenever the probe itself could run.

The root may hold nothing but glibc, /dev and /tmp, and any module of the tree
may be broken. So this file imports next to nothing at its top, and the checks
run in forked groups: a check that crashes or hangs takes its process along,
which is then replaced by one for the rest of its group. The probe writes to
the scratch directory alone, and leaves no byte code in the tree.
"""

import json
import os
import signal
import sys
import time

# A check that takes longer than this has hung.
CHECK_SECONDS = 30
PIP_SECONDS = 180

# How many groups run at once: one more than the two cores of a small machine,
# since some of them wait.
WORKERS = 3

# Modules which open a browser, or print a poem, or are for another platform
# but get installed on this one.
NOT_IMPORTED = {"antigravity", "this", "_ios_support", "msilib", "test"}

# Everything else in the environment could change what is being proved.
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Skip(Exception):
    """The root lacks what a check needs."""


class Failure(Exception):
    """A check found something wrong."""


class Request:
    """What the caller says of the tree."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
        self.path = os.path.abspath(path)
        self.prefix = os.path.normpath(fields["prefix"])
        self.compiled_prefix = os.path.normpath(fields["compiled_prefix"])
        self.modules = fields.get("modules", [])
        # The artifact's own scripts in bin; what was added there is not run.
        self.scripts = fields.get("scripts", [])
        self.builder = fields.get("flavor", "runtime") == "builder"
        self.scratch = os.path.abspath(fields["scratch"])
        self.tls_cert = fields.get("tls_cert")
        self.tls_key = fields.get("tls_key")
        self.compiler = bool(fields.get("compiler"))
        self.forbidden = [text for text in fields.get("forbidden", []) if text]
        # A venv, when this process runs in one.
        self.venv = None

    def roots(self):
        """The directories in which this Python may find its parts."""
        return [self.prefix] + ([self.venv] if self.venv else [])

    def scratch_path(self, *names):
        return os.path.join(self.scratch, *names)

    def scratch_dir(self, *names):
        path = self.scratch_path(*names)
        os.makedirs(path, exist_ok=True)
        return path


class Check:
    """A name, and a function of the request that raises or says a detail."""

    def __init__(self, name, function, seconds=CHECK_SECONDS):
        self.name = name
        self.function = function
        self.seconds = seconds

    def run(self, request):
        try:
            detail = self.function(request)
        except Skip as reason:
            return self.result("skipped", reason)
        except Failure as reason:
            return self.result("failed", reason)
        except BaseException as error:  # SystemExit is no better than the rest
            return self.result("failed", describe(error))
        return self.result("passed", detail or "")

    def result(self, status, detail):
        # What cannot be printed (half a character of a path, say) is escaped.
        detail = str(detail).encode("utf-8", "backslashreplace").decode("utf-8")
        return {"name": self.name, "status": status, "detail": detail}


# ---------------------------------------------------------------- the runner


class Worker:
    """A forked process that runs the checks of one group in order."""

    def __init__(self, group, checks, request):
        self.group = group
        self.pending = list(checks)
        self.request = request
        self.results = []
        self.log = os.path.join(request.scratch_dir("logs"), group + ".log")
        self.start()

    def start(self):
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader)
            run_in_child(writer, self.pending, self.request, self.log)
        os.close(writer)
        lead_group(self.pid)
        os.set_blocking(self.reader, False)
        self.buffer = b""
        self.expect_next()

    def expect_next(self):
        if self.pending:
            self.deadline = time.monotonic() + self.pending[0].seconds

    def poll(self):
        """Take what has been reported; return whether the group is done."""
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        self.read()
        if not ended and self.pending and time.monotonic() < self.deadline:
            return False
        self.stop(reap=not ended)
        if not self.pending:
            return True
        self.fail_current(death(status) if ended else
                          f"no end after {self.pending[0].seconds} s")
        if self.pending:
            self.start()
        return not self.pending

    def read(self):
        while True:
            try:
                chunk = os.read(self.reader, 65536)
            except BlockingIOError:
                break
            if not chunk:
                break
            self.buffer += chunk
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            self.results.append(json.loads(line))
            self.pending.pop(0)
            self.expect_next()

    def stop(self, reap):
        # The group of processes, not the one: a check may have left some.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except OSError:
            pass
        if reap:
            os.waitpid(self.pid, 0)
        os.close(self.reader)

    def fail_current(self, reason):
        check = self.pending.pop(0)
        self.results.append(check.result("failed", reason + log_excerpt(self.log)))


def lead_group(pid):
    """Give a child a process group, so that all that it starts can be ended.

    Both parent and child do so: neither can rely on the other being in time.
    """
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass


def run_in_child(writer, checks, request, log):
    """Run the checks, report each one as a line of JSON, and end."""
    code = 1
    try:
        lead_group(os.getpid())
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        redirect_standard_streams(log)
        for check in checks:
            line = json.dumps(check.run(request)) + "\n"
            os.write(writer, line.encode("ascii"))
        code = 0
    except BaseException as error:
        os.write(2, describe(error).encode("utf-8", "backslashreplace"))
    finally:
        # Without the exit handlers, which belong to the parent.
        os._exit(code)


def redirect_standard_streams(log):
    """Keep what checks print out of the report."""
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    try:
        import faulthandler
        faulthandler.enable(2)
    except Exception:  # then a crash is reported without its place
        pass


def run_groups(groups, request):
    """Run all groups, some at a time, the last one first.

    The results are in the order of the groups.
    """
    waiting = list(groups)
    running = []
    done = {}
    stop_with_children(running)
    while waiting or running:
        while waiting and len(running) < WORKERS:
            running.append(Worker(*waiting.pop(), request))
        for worker in list(running):
            if worker.poll():
                running.remove(worker)
                done[worker.group] = worker.results
        # Polled, since a tree whose select module is broken still gets a
        # report that says so.
        time.sleep(0.002)
    return [result for group, _ in groups for result in done[group]]


def stop_with_children(running):
    """When the probe is ended, end what it has started."""
    def end(number, _frame):
        for worker in running:
            worker.stop(reap=False)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    for number in STOP_SIGNALS:
        signal.signal(number, end)


def death(status):
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"crashed with {signal.Signals(number).name}"
        except ValueError:
            return f"crashed with signal {number}"
    return f"the process ended early with code {os.WEXITSTATUS(status)}"


def log_excerpt(log, lines=12):
    """The place of a crash if there is one, else what was printed last."""
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            text = file.read().strip()
    except OSError:
        return ""
    crash = text.rfind("Fatal Python error")
    found = (text.splitlines()[-lines:] if crash < 0
             else text[crash:].splitlines()[:lines])
    return "".join("\n" + line for line in found)


# ------------------------------------------------------------ common helpers


def expect(condition, message):
    if not condition:
        raise Failure(message)


def describe(error):
    """The error in one line, with the last place in this file it came from."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == __file__:
            place = f" (probe.py:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{place}"


def run(argv, seconds=CHECK_SECONDS - 5, env=None, cwd=None):
    """Run a command with no input; return what subprocess.run returns."""
    import subprocess
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=seconds, cwd=cwd,
        env=dict(os.environ, **(env or {})), encoding="utf-8", errors="replace")


def run_well(argv, **options):
    """Run a command that has to succeed; return its standard output."""
    done = run(argv, **options)
    if done.returncode != 0:
        raise Failure(f"{printable(argv)}: {how_it_ended(done)}")
    return done.stdout


def how_it_ended(done, lines=15):
    code = (f"exit code {done.returncode}" if done.returncode >= 0
            else f"signal {-done.returncode}")
    said = (done.stdout + done.stderr).strip().splitlines()[-lines:]
    return "\n".join([code] + said)


def printable(argv):
    import shlex
    return " ".join(shlex.quote(os.fsdecode(word)) for word in argv)


def python(*arguments, executable=None):
    """The command line of an isolated Python that writes no byte code."""
    return [executable or sys.executable, "-I", "-B", *arguments]


def inside(path, roots):
    """Whether a path lies in one of the directories, as written or as it is."""
    def within(path, root):
        return path == root or path.startswith(root.rstrip("/") + "/")
    path = os.path.normpath(path)
    real = os.path.realpath(path)
    return any(within(path, root) or within(real, os.path.realpath(root))
               for root in roots)


def expect_inside(named_paths, roots):
    stray = [f"{name} = {path!r}" for name, path in named_paths
             if not (isinstance(path, str) and path.startswith("/")
                     and inside(path, roots))]
    expect(not stray, f"not in {' or '.join(roots)}: " + "; ".join(stray))
    return ""


# ------------------------------------------------------------------- imports


def import_checks(request):
    """The extension modules that the recipe promises, and the built-in ones."""
    return ([Check(f"import:{name}", promised_import(name))
             for name in request.modules] +
            [Check(f"builtin:{name}", plain_import(name))
             for name in sys.builtin_module_names])


def promised_import(name):
    def check(request):
        import importlib
        module = importlib.import_module(name)
        # Not one of another Python, found by some accident of the path.
        origin = getattr(module.__spec__, "origin", None) or "built-in"
        expect(origin in ("built-in", "frozen")
               or inside(origin, request.roots()), f"loaded from {origin}")
    return check


def plain_import(name):
    def check(_request):
        import importlib
        importlib.import_module(name)
    return check


def stdlib_checks(request):
    """Every other module of the standard library that the tree ships."""
    import importlib.util

    def shipped(name):
        try:
            return importlib.util.find_spec(name) is not None
        except Exception:  # there, but not well
            return True

    known = NOT_IMPORTED.union(request.modules, sys.builtin_module_names)
    return [Check(f"stdlib:{name}", plain_import(name))
            for name in sorted(stdlib_names() - known) if shipped(name)]


def stdlib_names():
    names = getattr(sys, "stdlib_module_names", None)
    if names is not None:
        return set(names)
    # Python 3.9 has no such list: take the directories' word for it.
    import pkgutil
    directory = os.path.dirname(os.__file__)
    places = [directory, os.path.join(directory, "lib-dynload")]
    return {module.name for module in pkgutil.iter_modules(places)}


# -------------------------------------------------------- where things are


def layout_checks(_request):
    """What holds for the tree, and again in each venv made from it."""
    return [
        Check("layout:prefix", layout_prefix),
        Check("layout:sys.path", layout_sys_path),
        Check("sysconfig:paths", sysconfig_paths),
        Check("sysconfig:directories", sysconfig_directories),
        Check("sysconfig:values", sysconfig_values),
        Check("sysconfig:data", sysconfig_data),
        Check("sysconfig:files", sysconfig_files),
        Check("sysconfig:build-details", build_details),
        Check("sysconfig:vars-json", sysconfig_vars_json),
    ]


def layout_prefix(request):
    own = [request.venv or request.prefix]
    expect_inside([("sys.prefix", sys.prefix),
                   ("sys.exec_prefix", sys.exec_prefix),
                   ("sys.executable", sys.executable)], own)
    expect_inside([("sys.base_prefix", sys.base_prefix),
                   ("sys.base_exec_prefix", sys.base_exec_prefix),
                   ("os.__file__", os.__file__),
                   ("the real sys.executable", os.path.realpath(sys.executable))
                   ], [request.prefix] if not request.venv else request.roots())
    return sys.prefix


def layout_sys_path(request):
    return expect_inside([("entry", entry) for entry in sys.path],
                         request.roots())


def sysconfig_paths(request):
    import sysconfig
    return expect_inside(sysconfig.get_paths().items(), request.roots())


def sysconfig_directories(request):
    import sysconfig
    names = ("prefix", "exec_prefix", "installed_base", "installed_platbase",
             "BINDIR", "LIBDIR", "LIBDEST", "BINLIBDEST", "DESTSHARED",
             "SCRIPTDIR", "INCLUDEDIR", "INCLUDEPY", "CONFINCLUDEPY", "LIBPL")
    values = sysconfig.get_config_vars()
    return expect_inside([(name, values.get(name)) for name in names],
                         request.roots())


def sysconfig_values(request):
    """No value leads back to where the tree was built."""
    import sysconfig
    values = sysconfig.get_config_vars()
    expect("CONFIG_ARGS" in values, "the values of the build are missing")
    stray = []
    for name, value in sorted(values.items()):
        if isinstance(value, str):
            stray += [f"{name} = {value!r} ({why})"
                      for why in strays(value, request)]
    expect(not stray, "\n".join(stray))


def strays(value, request):
    """Say what a value mentions that it should not."""
    import re
    # The tree's own place may contain the other two: a staging directory ends
    # with the compiled prefix, and may lie beside the build.
    for root in sorted(request.roots(), key=len, reverse=True):
        value = value.replace(root, "")
    found = [f"mentions {text}" for text in request.forbidden if text in value]
    whole_path = re.escape(request.compiled_prefix) + r"(?![\w.+~-])"
    if request.prefix != request.compiled_prefix and re.search(whole_path, value):
        found.append("mentions the compiled prefix")
    return found


def sysconfig_data(request):
    """The data itself stays as it was built: other tools read it as a file."""
    import ast
    import importlib
    import sysconfig
    sysconfig.get_config_vars()
    module = importlib.import_module(sysconfig._get_sysconfigdata_name())
    with open(module.__file__, encoding="utf-8") as file:
        statements = ast.parse(file.read()).body
    assigned = {statement.targets[0].id: statement.value for statement
                in statements if isinstance(statement, ast.Assign)}
    literal = ast.literal_eval(assigned["build_time_vars"])
    expect(literal == module.build_time_vars,
           "reading sysconfig has changed build_time_vars")
    expect(literal["prefix"] == request.compiled_prefix,
           f"build_time_vars['prefix'] is {literal['prefix']!r}")


def sysconfig_files(request):
    import sysconfig
    paths = [sysconfig.get_makefile_filename(), sysconfig.get_config_h_filename()]
    expect_inside([("file", path) for path in paths], request.roots())
    if request.builder:
        missing = [path for path in paths if not os.path.isfile(path)]
        expect(not missing, f"missing: {missing}")


def descriptions(beginning):
    """The JSON files with such a name in the standard library's directory.

    CPython has written them since 3.14.
    """
    directory = os.path.dirname(os.__file__)
    names = [name for name in os.listdir(directory)
             if name.startswith(beginning) and name.endswith(".json")]
    expect(names or sys.version_info < (3, 14), f"there is no {beginning}*.json")
    found = {}
    for name in names:
        path = os.path.join(directory, name)
        with open(path, encoding="utf-8") as file:
            found[path] = json.load(file)
    return found


def build_details(request):
    """Who reads the file finds this tree (PEP 739), wherever it is."""
    for path, details in descriptions("build-details").items():
        absolute = [text for text in strings(details) if os.path.isabs(text)]
        expect(not absolute, f"{path} has absolute paths: {absolute}")
        base = os.path.join(os.path.dirname(path), details["base_prefix"])
        expect(os.path.realpath(base) == os.path.realpath(request.prefix),
               f"base_prefix of {path} is {base}")
        wanted = [details["base_interpreter"]]
        if request.builder:
            wanted.append(details["c_api"]["headers"])
        missing = [name for name in wanted
                   if not os.path.exists(os.path.join(base, name))]
        expect(not missing, f"{path} names what is not there: {missing}")


def strings(value):
    """All texts in a value of JSON."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return ([text for part in parts for text in strings(part)]
            if isinstance(value, (dict, list)) else [])


def sysconfig_vars_json(request):
    """It says what the literal dict beside it says: neither knows of a move."""
    import importlib
    import sysconfig
    found = descriptions("_sysconfig_vars")
    if not found:
        return
    data = importlib.import_module(sysconfig._get_sysconfigdata_name())
    for path, values in found.items():
        stray = [f"{name} mentions {text}" for name, value in values.items()
                 for text in request.forbidden
                 if isinstance(value, str) and text in value]
        expect(not stray, f"{path}: {stray}")
        expect(values["prefix"] == request.compiled_prefix,
               f"prefix in {path} is {values['prefix']!r}")
        differ = [name for name, value in data.build_time_vars.items()
                  if values.get(name) != value]
        # The one is where the build read it, the other where it is installed.
        expect(set(differ) <= {"srcdir"}, f"{path} differs in {differ}")


# --------------------------------------------------------------- the modules


def module_checks(request):
    """Use the modules that are most often broken by a build or a move."""
    checks = [
        ("zlib:round-trip", zlib_round_trip, ["zlib"]),
        ("bz2:round-trip", bz2_round_trip, ["_bz2"]),
        ("lzma:round-trip", lzma_round_trip, ["_lzma"]),
        ("zstd:round-trip", zstd_round_trip, ["_zstd"]),
        ("sqlite3:database", sqlite3_database, ["_sqlite3"]),
        ("ctypes:call", ctypes_call, ["_ctypes"]),
        ("ctypes:callback", ctypes_callback, ["_ctypes"]),
        ("curses:terminal", curses_terminal, ["_curses"]),
        ("uuid:generate", uuid_generate, []),
        ("decimal:arithmetic", decimal_arithmetic, ["_decimal"]),
        ("hashlib:built-in", hashlib_built_in, []),
        ("hashlib:openssl", hashlib_openssl, ["_hashlib"]),
        ("hashlib:key-derivation", hashlib_key_derivation, ["_hashlib"]),
        ("accelerators", accelerators, []),
        ("unicodedata:names", unicodedata_names, ["unicodedata"]),
        ("xml:parse", xml_parse, ["pyexpat"]),
        ("zoneinfo:data", zoneinfo_data, []),
        ("asyncio:task", asyncio_task, []),
        ("asyncio:stream", asyncio_stream, []),
    ]
    return promised(request, checks)


def promised(request, checks):
    """Those whose needed modules the recipe promises."""
    known = set(request.modules).union(sys.builtin_module_names)
    return [Check(name, function) for name, function, needed in checks
            if known.issuperset(needed)]


SAMPLE = "Sphinx of black quartz, judge my vow. ♞ ".encode("utf-8") * 500


def zlib_round_trip(request):
    import gzip
    import zlib
    packed = zlib.compress(SAMPLE, 9)
    expect(len(packed) < len(SAMPLE) and zlib.decompress(packed) == SAMPLE, "zlib")
    path = request.scratch_path("sample.gz")
    with gzip.open(path, "wb") as file:
        file.write(SAMPLE)
    with gzip.open(path, "rb") as file:
        expect(file.read() == SAMPLE, "gzip")
    return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"


def bz2_round_trip(_request):
    import bz2
    expect(bz2.decompress(bz2.compress(SAMPLE)) == SAMPLE, "bz2")


def lzma_round_trip(_request):
    import lzma
    for kind in (lzma.FORMAT_XZ, lzma.FORMAT_ALONE):
        packed = lzma.compress(SAMPLE, format=kind)
        expect(lzma.decompress(packed) == SAMPLE, f"lzma, format {kind}")


def zstd_round_trip(_request):
    from compression import zstd
    expect(zstd.decompress(zstd.compress(SAMPLE)) == SAMPLE, "zstd")


def sqlite3_database(request):
    import sqlite3
    rows = [(1, "één", 0.5), (2, "два", None)]
    for place in (":memory:", request.scratch_path("probe.sqlite")):
        database = sqlite3.connect(place)
        with database:
            database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b REAL)")
            database.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        found = database.execute("SELECT * FROM t ORDER BY id").fetchall()
        database.close()
        expect(found == rows, f"{place}: {found}")
    return f"SQLite {sqlite3.sqlite_version}"


def ctypes_call(_request):
    import ctypes
    strlen = ctypes.CDLL(None).strlen
    strlen.argtypes, strlen.restype = [ctypes.c_char_p], ctypes.c_size_t
    expect(strlen(b"relocatable") == 11, "strlen is wrong")


def ctypes_callback(_request):
    import ctypes
    reference = ctypes.POINTER(ctypes.c_int)
    compare = ctypes.CFUNCTYPE(ctypes.c_int, reference, reference)(
        lambda left, right: left[0] - right[0])
    numbers = (ctypes.c_int * 5)(5, 1, 4, 2, 3)
    ctypes.CDLL(None).qsort(numbers, ctypes.c_size_t(5),
                            ctypes.c_size_t(ctypes.sizeof(ctypes.c_int)), compare)
    expect(list(numbers) == [1, 2, 3, 4, 5], f"qsort gives {list(numbers)}")


def curses_terminal(_request):
    import curses
    import curses.panel
    directory, terminal = terminfo_entry()
    # Named, since each distribution's library has its own list of places.
    os.environ["TERMINFO"] = directory
    with open(os.devnull, "w") as null:
        curses.setupterm(terminal, null.fileno())
    expect(curses.tigetnum("cols") != -2, f"{terminal} has no number of columns")
    return f"{terminal} of {directory}"


def terminfo_entry():
    for directory in ("/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo",
                      "/usr/lib/terminfo"):
        for terminal in ("xterm", "vt100", "linux", "dumb"):
            # A subdirectory's name is the first letter, or its code.
            for letter in (terminal[0], f"{ord(terminal[0]):x}"):
                if os.path.isfile(os.path.join(directory, letter, terminal)):
                    return directory, terminal
    raise Skip("this root has no terminfo entry")


def uuid_generate(request):
    import uuid
    expect(uuid.uuid4().version == 4 and uuid.uuid1().version == 1, "versions")
    if "_uuid" in request.modules:
        import _uuid
        expect(len(_uuid.generate_time_safe()[0]) == 16, "libuuid")


def decimal_arithmetic(_request):
    import decimal
    import _decimal
    expect(decimal.Decimal is _decimal.Decimal, "decimal is not the C version")
    with decimal.localcontext() as context:
        context.prec = 30
        third = decimal.Decimal(1) / decimal.Decimal(3)
    expect(str(third) == "0." + "3" * 30, f"1/3 = {third}")


# Of the three bytes "abc".
KNOWN_DIGESTS = {
    "md5": "900150983cd24fb0d6963f7d28e17f72",
    "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha256": "ba7816bf8f01cfea414140de5dae2223"
              "b00361a396177a9cb410ff61f20015ad",
    "sha512": "ddaf35a193617abacc417349ae204131"
              "12e6fa4e89a97ea20a9eeee64b55d39a"
              "2192992a274fc1a836ba3c23a3feebbd"
              "454d4423643ce80e2a9ac94fa54ca49f",
    "sha3_256": "3a985da74fe225b2045c172d6bd390bd"
                "855f086e3e9d525b46bfe24511431532",
    "blake2b": "ba80a53f981c4d0d6a2797b69f12f6e9"
               "4c212f14685ac4b74b12bb6fdbffa2d1"
               "7d87c5392aab792dc252d5de4533cc95"
               "18d38aa8dbf1925ab92386edd4009923",
    "blake2s": "508c5e8c327c14e2e1a72ba34eeb452f"
               "37458b209ed63a294d999b4c86675982",
}


def expect_digests(kind, constructors):
    wrong = [name for name, constructor in constructors.items()
             if constructor(b"abc").hexdigest() != KNOWN_DIGESTS[name]]
    expect(not wrong, f"wrong digests by {kind}: {wrong}")
    return ", ".join(constructors)


def hashlib_built_in(_request):
    import hashlib
    expect_digests("hashlib", {name: getattr(hashlib, name)
                               for name in KNOWN_DIGESTS})
    # Those that stand in for OpenSSL where it is missing or refuses.
    constructor = getattr(hashlib, "__get_builtin_constructor", None)
    return constructor and expect_digests("CPython's own code", {
        name: constructor(name) for name in KNOWN_DIGESTS})


def hashlib_openssl(_request):
    import _hashlib
    names = ("md5", "sha1", "sha256", "sha512", "sha3_256")
    return expect_digests("OpenSSL", {
        name: getattr(_hashlib, f"openssl_{name}") for name in names})


def hashlib_key_derivation(_request):
    import hashlib
    key = hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1)
    expect(key.hex() == "120fb6cffcf8b32c43e7225256c4f837"
                        "a86548c92ccc35480805987cb70be17b", "pbkdf2_hmac")
    key = hashlib.scrypt(b"", salt=b"", n=16, r=1, p=1, dklen=32)
    expect(key.hex() == "77d6576238657b203b19ca42c18a0497"
                        "f16b4844e3074ae8dfdffa3fede21442", "scrypt")


def accelerators(_request):
    """The C versions of modules that would silently do without them."""
    import bisect
    import datetime
    import heapq
    import json.encoder
    import json.scanner
    import pickle
    import xml.etree.ElementTree as ElementTree
    in_c = {
        "json": json.encoder.c_make_encoder and json.scanner.c_make_scanner,
        "pickle": pickle.Pickler is not pickle._Pickler,
        "datetime": not hasattr(datetime.datetime.now, "__code__"),
        "heapq": not hasattr(heapq.heappush, "__code__"),
        "bisect": not hasattr(bisect.bisect_left, "__code__"),
        "xml.etree": not hasattr(ElementTree.XMLParser.feed, "__code__"),
    }
    slow = [name for name, fast in in_c.items() if not fast]
    expect(not slow, f"without their C versions: {slow}")
    expect(pickle.loads(pickle.dumps({"a": [1, 2.5, "é"]})) == {"a": [1, 2.5, "é"]},
           "pickle")
    expect(json.loads(json.dumps({"a": [1, 2.5, "é"]})) == {"a": [1, 2.5, "é"]},
           "json")


def unicodedata_names(_request):
    import unicodedata
    expect(unicodedata.name("é") == "LATIN SMALL LETTER E WITH ACUTE", "name")
    expect(unicodedata.normalize("NFC", "e\u0301") == "é", "normalize")
    return f"Unicode {unicodedata.unidata_version}"


def xml_parse(_request):
    import pyexpat
    import xml.etree.ElementTree as ElementTree
    tree = ElementTree.fromstring("<a><b c='1'>é</b></a>")
    expect(tree[0].get("c") == "1" and tree[0].text == "é", "ElementTree")
    return pyexpat.EXPAT_VERSION


def zoneinfo_data(_request):
    import datetime
    import zoneinfo
    try:
        berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    except zoneinfo.ZoneInfoNotFoundError:
        raise Skip("this root has no tzdata") from None
    summer = datetime.datetime(2024, 7, 1, tzinfo=berlin)
    expect(summer.utcoffset() == datetime.timedelta(hours=2), "utcoffset")


def asyncio_task(_request):
    import asyncio

    async def main():
        return await asyncio.gather(*(asyncio.sleep(0.001, n) for n in range(3)))

    expect(asyncio.run(main()) == [0, 1, 2], "gather")


def asyncio_stream(_request):
    import asyncio
    server, client, transport = connected_sockets()

    async def answer():
        reader, writer = await asyncio.open_connection(sock=server)
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async def ask():
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(b"hello\n")
        line = await reader.readline()
        writer.close()
        return line

    async def main():
        return (await asyncio.gather(ask(), answer()))[0]

    expect(asyncio.run(main()) == b"HELLO\n", "stream")
    return transport


def connected_sockets():
    """Two ends of a connection, over loopback unless this root has none."""
    import socket
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname(), 5)
            server, _ = listener.accept()
            transport = "over 127.0.0.1"
    except OSError as error:
        server, client = socket.socketpair()
        transport = f"over a socket pair (loopback: {error})"
    for end in (server, client):
        end.settimeout(10)
    return server, client, transport


# ----------------------------------------------------------------------- TLS


def tls_checks(request):
    return promised(request, [
        ("tls:handshake", tls_handshake, ["_ssl"]),
        ("tls:untrusted", tls_untrusted, ["_ssl"]),
        ("tls:wrong-name", tls_wrong_name, ["_ssl"]),
        ("tls:certificates:places", certificates_places, ["_ssl"]),
        ("tls:certificates:debian", certificates_debian, ["_ssl"]),
        ("tls:certificates:redhat", certificates_redhat, ["_ssl"]),
        ("tls:certificates:none", certificates_none, ["_ssl"]),
        ("tls:certificates:broken", certificates_broken, ["_ssl"]),
        ("tls:certificates:openssl", certificates_openssl, ["_ssl"]),
        ("tls:certificates:environment", certificates_environment, ["_ssl"]),
        ("tls:certificates:handshake", certificates_handshake, ["_ssl"]),
    ])


def tls_exchange(request, client_context, name="localhost"):
    """Send a line to a TLS server in a thread; return reply, version, transport."""
    import ssl
    import threading
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(request.tls_cert, request.tls_key)
    server, client, transport = connected_sockets()

    def serve():
        try:
            with server_context.wrap_socket(server, server_side=True) as channel:
                channel.sendall(channel.recv(100).upper())
        except OSError:  # the client's verdict is the one that counts
            server.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        with client_context.wrap_socket(client, server_hostname=name) as channel:
            channel.sendall(b"hello")
            return channel.recv(100), channel.version(), transport
    finally:
        client.close()
        thread.join(10)


def client_context(cafile=None):
    """A context that verifies; a certificate of its own making may be lax."""
    import ssl
    context = ssl.create_default_context(cafile=cafile)
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    return context


def tls_handshake(request):
    import ssl
    context = client_context(request.tls_cert)
    reply, version, transport = tls_exchange(request, context)
    expect(reply == b"HELLO", f"the reply is {reply!r}")
    expect(version == "TLSv1.3", f"the version is {version}")
    return f"{ssl.OPENSSL_VERSION}, {version} {transport}"


def expect_refusal(request, context, name):
    import ssl
    try:
        tls_exchange(request, context, name)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    raise Failure("the certificate was accepted")


def tls_untrusted(request):
    import ssl
    # No certificates at all, whatever this root has.
    return expect_refusal(request, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
                          "localhost")


def tls_wrong_name(request):
    return expect_refusal(request, client_context(request.tls_cert),
                          "wrong.example")


def certificates_places(_request):
    """The places that the patched ssl module knows, and what it finds here."""
    import ssl
    wanted = ("/etc/ssl/certs/ca-certificates.crt",
              "/etc/pki/tls/certs/ca-bundle.crt")
    places = getattr(ssl, "_FALLBACK_CAFILES", None)
    expect(places is not None, "ssl.py is without its patch")
    expect(places == wanted, f"ssl looks for {places}")
    found = ssl.get_default_verify_paths()
    return f"here: cafile {found.cafile}, capath {found.capath}"


def certificates_debian(request):
    expect_fallback(request, "debian", first=True)


def certificates_redhat(request):
    expect_fallback(request, "redhat", first=False)


def expect_fallback(request, name, first):
    """One certificate more is loaded if one of the two places exists."""
    cafile = certificate_copy(request, name)
    missing = request.scratch_path("missing.crt")
    fallbacks = (cafile, missing) if first else (missing, cafile)
    with CertificatePlaces(request, fallbacks) as places:
        places.expect_loaded(1, cafile)


def certificates_none(request):
    with CertificatePlaces(request, (request.scratch_path("missing.crt"),)) as places:
        places.expect_loaded(0, None)


def certificates_broken(request):
    """A bad file must not make a default context impossible."""
    cafile = request.scratch_path("broken.crt")
    with open(cafile, "w", encoding="ascii") as file:
        file.write("-----BEGIN CERTIFICATE-----\nbroken\n")
    with CertificatePlaces(request, (cafile,)) as places:
        places.expect_loaded(0, cafile)


def certificates_openssl(request):
    """Where OpenSSL's own directory holds certificates, nothing is added."""
    cafile = certificate_copy(request, "unused")
    directory = request.scratch_dir("hashed")
    certificate_copy(request, "hashed/0a1b2c3d.0", suffix="")
    with CertificatePlaces(request, (cafile,), capath=directory) as places:
        places.expect_loaded(0, None)


def certificates_environment(request):
    """Where the user says which file, it is that file alone."""
    import ssl
    missing = request.scratch_path("missing.crt")
    named = certificate_copy(request, "named")
    with CertificatePlaces(request, (certificate_copy(request, "unused"),)):
        for cafile, count in ((named, 1), (missing, 0)):
            os.environ["SSL_CERT_FILE"] = cafile
            try:
                loaded = certificates_loaded()
                reported = ssl.get_default_verify_paths().cafile
            finally:
                del os.environ["SSL_CERT_FILE"]
            expect(loaded == count, f"SSL_CERT_FILE={cafile}: {loaded} loaded")
            expect(reported == (cafile if count else None),
                   f"SSL_CERT_FILE={cafile}: {reported} is reported")


def certificates_handshake(request):
    """A default context trusts what the distribution's file holds."""
    cafile = certificate_copy(request, "trusted")
    with CertificatePlaces(request, (cafile,)):
        reply, _, _ = tls_exchange(request, client_context())
    expect(reply == b"HELLO", f"the reply is {reply!r}")


def certificate_copy(request, name, suffix=".crt"):
    target = request.scratch_path(name + suffix)
    with open(request.tls_cert, "rb") as source, open(target, "wb") as copy:
        copy.write(source.read())
    return target


class CertificatePlaces:
    """The ssl module as in a root where only these places have certificates."""

    def __init__(self, request, fallbacks, capath=None):
        self.fallbacks = fallbacks
        missing = request.scratch_path("missing")
        self.openssl = ("SSL_CERT_FILE", missing, "SSL_CERT_DIR", capath or missing)

    def __enter__(self):
        import _ssl
        import ssl
        self.saved = ssl._FALLBACK_CAFILES, _ssl.get_default_verify_paths
        _ssl.get_default_verify_paths = lambda: self.openssl
        # What OpenSSL itself loads from its own places cannot be redirected,
        # so it is counted first.
        ssl._FALLBACK_CAFILES = ()
        self.without_fallback = certificates_loaded()
        ssl._FALLBACK_CAFILES = self.fallbacks
        return self

    def __exit__(self, *_):
        import _ssl
        import ssl
        ssl._FALLBACK_CAFILES, _ssl.get_default_verify_paths = self.saved

    def expect_loaded(self, count, cafile):
        import ssl
        loaded = certificates_loaded() - self.without_fallback
        expect(loaded == count, f"{loaded} certificates were loaded, not {count}")
        reported = ssl.get_default_verify_paths().cafile
        expect(reported == cafile, f"{reported} is reported as cafile")


def certificates_loaded():
    import ssl
    return ssl.create_default_context().cert_store_stats()["x509"]


# ----------------------------------------------------------------- processes


def process_checks(request):
    return promised(request, [
        ("subprocess:python", subprocess_python, []),
        ("subprocess:non-ascii", subprocess_non_ascii, []),
        ("subprocess:read-only-directory", subprocess_read_only, []),
        ("threads:late", late_threads, []),
    ])


def subprocess_python(_request):
    out = run_well(python("-c", "import sys; print(sys.executable)"))
    expect(out.rstrip("\n") == sys.executable, f"another executable: {out!r}")


def subprocess_non_ascii(_request):
    """Arguments and output survive, whatever the locale is."""
    word = "zażółć-é-☃"
    code = "import sys; print(ascii(sys.argv[1])); print(sys.argv[1])"
    for locale, options in (("C", []), ("C.UTF-8", []), ("POSIX", ["-X", "utf8"])):
        out = run_well(python(*options, "-c", code, word.encode("utf-8")),
                       env={"LC_ALL": locale})
        expect(out == f"{ascii(word)}\n{word}\n", f"LC_ALL={locale}: {out!r}")


def subprocess_read_only(request):
    directory = request.scratch_dir("read-only")
    os.chmod(directory, 0o555)
    # Not isolated, so that the directory is on the path of modules.
    out = run_well([sys.executable, "-B", "-c", "import json; print(json.dumps(1))"],
                   cwd=directory)
    expect(out == "1\n", repr(out))
    expect(not os.listdir(directory), f"it left {os.listdir(directory)}")


def late_threads(_request):
    # They come for the GIL when the interpreter has ended, in a place that may have no libgcc_s.
    out = run_well([sys.executable, "-I", "-B", "-c",
                    "import threading, time\n"
                    "def spin():\n"
                    "    while True:\n"
                    "        time.sleep(0.0001)\n"
                    "for _ in range(8):\n"
                    "    threading.Thread(target=spin, daemon=True).start()\n"
                    "time.sleep(0.1)\n"
                    "print('ended')"])
    expect(out == "ended\n", repr(out))


def multiprocessing_checks(request):
    return promised(request, [
        ("multiprocessing:fork", started_process("fork"), []),
        ("multiprocessing:spawn", started_process("spawn"), []),
        ("multiprocessing:pool", multiprocessing_pool, ["_multiprocessing"]),
        ("multiprocessing:shared-memory", shared_memory, ["_posixshmem"]),
    ])


def started_process(method):
    def check(_request):
        import multiprocessing
        context = multiprocessing.get_context(method)
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=send_square, args=(sender, 12))
        process.start()
        sender.close()
        expect(receiver.poll(20), "no answer in 20 s")
        answer = receiver.recv()
        process.join(10)
        expect(answer == 144 and process.exitcode == 0,
               f"answer {answer}, exit code {process.exitcode}")
    return check


def send_square(sender, number):
    sender.send(square(number))


def square(number):
    return number * number


def multiprocessing_pool(_request):
    import multiprocessing
    expect_shared_memory()
    # "fork", since "spawn" has been tried and costs more for each process.
    with multiprocessing.get_context("fork").Pool(2) as pool:
        expect(pool.map(square, range(5)) == [0, 1, 4, 9, 16], "map")


def shared_memory(_request):
    from multiprocessing import shared_memory
    expect_shared_memory()
    memory = shared_memory.SharedMemory(create=True, size=1000)
    try:
        memory.buf[:5] = b"hello"
        other = shared_memory.SharedMemory(name=memory.name)
        expect(bytes(other.buf[:5]) == b"hello", "the other end reads otherwise")
        other.close()
    finally:
        memory.close()
        memory.unlink()


def expect_shared_memory():
    """glibc keeps semaphores there too."""
    if not os.access("/dev/shm", os.W_OK):
        raise Skip("this root has no writable /dev/shm")


# --------------------------------------------------------------------- venvs


def venv_groups(request):
    """Each kind of venv is a group, so that they are made at the same time."""
    # In the builder flavor one venv with pip is enough: it takes seconds.
    without_pip = ["--without-pip"] if request.builder else []
    return [
        ("venv-without-pip", venv_checks("without-pip", ["--without-pip"])),
        ("venv-copies", venv_checks("copies", ["--copies", *without_pip])),
        ("venv-default", venv_checks("default", [])
         + (pip_checks(request) if request.builder else [])),
    ]


def venv_checks(kind, options):
    return [
        Check(f"venv:{kind}:create", venv_create(kind, options), PIP_SECONDS),
        Check(f"venv:{kind}:pip", venv_pip(kind, options), PIP_SECONDS),
        Check(f"venv:{kind}:python", venv_python(kind)),
    ]


def venv_path(request, kind, *names):
    # A name that needs quotes wherever it is not taken as it is.
    return request.scratch_path(f"venv {kind} é", *names)


def venv_executable(request, kind):
    path = venv_path(request, kind, "bin", "python")
    expect(os.path.exists(path), "the venv was not made")
    return path


def venv_create(kind, options):
    def check(request):
        target = venv_path(request, kind)
        done = run(python("-m", "venv", *options, target), PIP_SECONDS - 5)
        said = done.stderr.strip()
        expect(done.returncode == 0, how_it_ended(done))
        if not request.builder and "--without-pip" not in options:
            expect("without pip" in said and len(said.splitlines()) == 1,
                   f"it does not say that pip is left out, but: {said!r}")
        else:
            expect(not said, f"it complains: {said}")
    return check


def venv_pip(kind, options):
    """Pip is there if and only if it should be."""
    def check(request):
        wanted = request.builder and "--without-pip" not in options
        executable = venv_executable(request, kind)
        scripts = [name for name in os.listdir(os.path.dirname(executable))
                   if name.startswith("pip")]
        if not wanted:
            expect(not scripts, f"it has {scripts}")
            return "without pip"
        version = run_well(python("-m", "pip", "--version", executable=executable),
                           seconds=PIP_SECONDS - 5)
        expect(scripts, "there is no pip script")
        return version.strip()
    return check


def venv_python(kind):
    """Run the layout's checks and some imports inside the venv."""
    def check(request):
        executable = venv_executable(request, kind)
        if kind == "copies":
            expect(not os.path.islink(executable), "bin/python is a link")
        out = run_well(python(__file__, request.path, venv_path(request, kind),
                              executable=executable))
        failed = [f"{result['name']}: {result['detail']}"
                  for result in json.loads(out)["checks"]
                  if result["status"] == "failed"]
        expect(not failed, "\n".join(failed))
    return check


def run_inside_venv(request):
    """What the Python of a venv does when it gets this file."""
    base = Check("layout:base_prefix", lambda request: expect(
        os.path.realpath(sys.base_prefix) == os.path.realpath(request.prefix),
        f"sys.base_prefix is {sys.base_prefix}"))
    imports = [Check(f"import:{name}", promised_import(name))
               for name in ("_ssl", "_sqlite3", "zlib", "_ctypes")
               if name in request.modules]
    return [check.run(request)
            for check in [base, *layout_checks(request), *imports]]


# ------------------------------------------------------------- pip, compiler


def pip_checks(request):
    checks = [Check("pip:script", pip_script, PIP_SECONDS)]
    if request.compiler:
        checks += [Check("pip:build-extension", pip_build_extension, PIP_SECONDS),
                   Check("pip:import-extension", pip_import_extension)]
    return checks


def pip_script(request):
    """The script has a path with a blank in its first line: /bin/sh helps."""
    if not os.path.exists("/bin/sh"):
        raise Skip("this root has no /bin/sh")
    script = os.path.join(os.path.dirname(venv_executable(request, "default")), "pip")
    return run_well([script, "--version"]).strip()


EXTENSION_C = r"""
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *answer(PyObject *self, PyObject *args)
{
    return PyLong_FromLong(42);
}

static PyMethodDef methods[] = {
    {"answer", answer, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "pykeel_probe", NULL, 0, methods
};

PyMODINIT_FUNC PyInit_pykeel_probe(void)
{
    return PyModuleDef_Init(&definition);
}
"""

# Needs nothing from an index: it does by hand what setuptools would do, with
# the same values of sysconfig.
EXTENSION_BACKEND = r'''
import os
import shlex
import subprocess
import sys
import sysconfig
import zipfile

TAG = "cp{0}{1}-cp{0}{1}{2}-".format(*sys.version_info[:2], sys.abiflags)
TAG += sysconfig.get_platform().replace("-", "_").replace(".", "_")
INFO = "pykeel_probe-1.0.dist-info"


def words(*names):
    return shlex.split(" ".join(sysconfig.get_config_var(name) or "" for name in names))


def compile_extension():
    target = "pykeel_probe" + sysconfig.get_config_var("EXT_SUFFIX")
    include = [f"-I{sysconfig.get_path(name)}" for name in ("include", "platinclude")]
    subprocess.run([*words("CC", "CFLAGS", "CCSHARED"), *include,
                    "-c", "pykeel_probe.c", "-o", "pykeel_probe.o"], check=True)
    subprocess.run([*words("LDSHARED"), "pykeel_probe.o", "-o", target], check=True)
    return target


def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = f"pykeel_probe-1.0-{TAG}.whl"
    module = compile_extension()
    texts = {
        f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: pykeel-probe\nVersion: 1.0\n",
        f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: pykeel\n"
                         f"Root-Is-Purelib: false\nTag: {TAG}\n",
        f"{INFO}/RECORD": "".join(f"{path},,\n" for path in (
            module, f"{INFO}/METADATA", f"{INFO}/WHEEL", f"{INFO}/RECORD")),
    }
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.write(module)
        for path, text in texts.items():
            wheel.writestr(path, text)
    return name
'''

EXTENSION_FILES = {
    "PKG-INFO": "Metadata-Version: 2.1\nName: pykeel-probe\nVersion: 1.0\n",
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
                      'backend-path = ["."]\n',
    "backend.py": EXTENSION_BACKEND,
    "pykeel_probe.c": EXTENSION_C,
}


def write_sdist(request):
    import io
    import tarfile
    path = request.scratch_path("pykeel_probe-1.0.tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for name, text in EXTENSION_FILES.items():
            data = text.encode("utf-8")
            entry = tarfile.TarInfo(f"pykeel_probe-1.0/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def pip_build_extension(request):
    """Build and install a source distribution with a C extension, offline."""
    executable = venv_executable(request, "default")
    run_well(python("-m", "pip", "install", "--no-index", "--no-cache-dir",
                    write_sdist(request), executable=executable),
             seconds=PIP_SECONDS - 5)


def pip_import_extension(request):
    code = "import pykeel_probe as m; print(m.answer(), m.__file__)"
    out = run_well(python("-c", code, executable=venv_executable(request, "default")))
    answer, path = out.rstrip("\n").split(" ", 1)
    expect(answer == "42", f"the answer is {answer}")
    expect(inside(path, [venv_path(request, "default")]), f"loaded from {path}")


def config_checks(request):
    """python3.X-config and what it says, for the flavor that has headers."""
    if not request.builder:
        return []
    checks = [Check("python-config:paths", python_config_paths)]
    if request.compiler:
        checks.append(Check("python-config:compile", python_config_compile))
    return checks


def python_config(request, *options):
    if not os.path.exists("/bin/sh"):
        raise Skip("this root has no /bin/sh")
    version = "{}.{}".format(*sys.version_info[:2])
    script = os.path.join(request.prefix, "bin",
                          f"python{version}{sys.abiflags}-config")
    return run_well([script, *options]).strip()


def has_blank(path):
    return len(path.split()) > 1


def python_config_paths(request):
    import shlex
    for option in ("--prefix", "--exec-prefix", "--configdir"):
        expect_inside([(option, python_config(request, option))], [request.prefix])
    for option in ("--includes", "--ldflags"):
        out = python_config(request, option)
        stray = strays(out, request)
        expect(not stray, f"{option}: {out} ({', '.join(stray)})")
        if has_blank(request.prefix):
            # It has no way to quote: all that can be asked is that it is right.
            expect(request.prefix in out, f"{option}: {out}")
        else:
            paths = [(word[:2], word[2:]) for word in shlex.split(out)
                     if word[:2] in ("-I", "-L")]
            expect(paths, f"{option} names no directory: {out}")
            expect_inside(paths, [request.prefix])


def python_config_compile(request):
    """Compile and run a program that needs the headers and no library."""
    import shlex
    import sysconfig
    if has_blank(request.prefix):
        includes = [f"-I{sysconfig.get_path('include')}"]
    else:
        includes = shlex.split(python_config(request, "--includes"))
    directory = request.scratch_dir("compile")
    source, program = os.path.join(directory, "p.c"), os.path.join(directory, "p")
    with open(source, "w", encoding="ascii") as file:
        file.write('#include <Python.h>\n'
                   'int main(void) { printf("%x\\n", PY_VERSION_HEX); return 0; }\n')
    # Without optimization, the unused inline functions of the headers would
    # ask for a library.
    run_well([*shlex.split(sysconfig.get_config_var("CC")), "-O1", *includes,
              source, "-o", program])
    out = run_well([program])
    expect(int(out, 16) == sys.hexversion, f"the headers are of {out.strip()}")


# ------------------------------------------------------------------- scripts


def script_checks(request):
    """Each of the artifact's files in bin that names its interpreter."""
    directory = os.path.join(request.prefix, "bin")
    return [Check(f"script:{name}", script_runs(name))
            for name in sorted(request.scripts)
            if shebang(os.path.join(directory, name)) is not None]


def shebang(path):
    """The first line of a script, without its mark."""
    if os.path.islink(path) or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        line = file.readline(4096)
    return os.fsdecode(line[2:].strip()) if line.startswith(b"#!") else None


def script_runs(name):
    """It runs by its own name, and by a link from elsewhere."""
    def check(request):
        script = os.path.join(request.prefix, "bin", name)
        first = shebang(script)
        stray = strays(first, request)
        expect(not stray, f"#!{first} ({', '.join(stray)})")
        interpreter = first.split()[0]
        if not os.path.exists(interpreter):
            expect(interpreter in ("/bin/sh", "/usr/bin/env"),
                   f"its interpreter {interpreter} does not exist")
            raise Skip(f"this root has no {interpreter}")
        link = os.path.join(request.scratch_dir("links"), name)
        os.symlink(script, link)
        for path in (script, link):
            run_well([path, *script_arguments(name)])
    return check


def script_arguments(name):
    """What makes a script say something and end."""
    if name.endswith("-config"):
        return ["--prefix"]
    if name.startswith("pydoc"):
        return []
    return ["--version"] if name.startswith("pip") else ["-h"]


# ---------------------------------------------------------------------- main


def plan(request):
    """All checks in groups: in the report, what explains other failures is first.

    Groups are started from the end, where the long ones are.
    """
    groups = [
        ("imports", import_checks(request)),
        ("layout", layout_checks(request)),
        ("modules", module_checks(request)),
        ("processes", process_checks(request)),
        ("python-config", config_checks(request)),
        ("multiprocessing", multiprocessing_checks(request)),
        ("scripts", attempt(script_checks, "scripts", request)),
        ("tls", tls_checks(request)),
        ("stdlib", attempt(stdlib_checks, "stdlib", request)),
        *venv_groups(request),
    ]
    return [(name, checks) for name, checks in groups if checks]


def attempt(make_checks, name, request):
    """Checks that have to be found first; if they cannot be, that is the result."""
    try:
        return make_checks(request)
    except Exception as error:
        reason = describe(error)

        def check(_request):
            raise Failure(reason)
        return [Check(name, check)]


def scrub_environment(request):
    """Keep the user's settings from the checks, and their traces from the tree."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update({
        "HOME": request.scratch_dir("home"),
        "TMPDIR": request.scratch_dir("tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    })


def import_common_modules():
    """Once, before the forks; a check will tell if one of them is broken."""
    for name in ("subprocess", "sysconfig", "importlib.util", "shlex", "socket"):
        try:
            __import__(name)
        except Exception:
            pass


def main(arguments):
    request = Request(arguments[0])
    scrub_environment(request)
    if len(arguments) > 1:
        request.venv = os.path.normpath(arguments[1])
        checks = run_inside_venv(request)
    else:
        import_common_modules()
        checks = run_groups(plan(request), request)
    print(json.dumps({"checks": checks}), flush=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -I -B probe.py REQUEST.json")
    main(sys.argv[1:])
