"""Uses the modules that are most often broken by a build or a move."""

import os
import sys

from .check import Failure, Skip, expect, promised
from .commands import run_well
from .hashes import (
    hashlib_built_in, hashlib_key_derivation, hashlib_openssl, legacy_provider)
from .sockets import connected_sockets
from .terminals import curses_terminfo, readline_quiet


def module_checks(request):
    """Return the checks whose modules the recipe promises."""
    checks = [
        ("zlib:round-trip", zlib_round_trip, ["zlib"]),
        ("bz2:round-trip", bz2_round_trip, ["_bz2"]),
        ("lzma:round-trip", lzma_round_trip, ["_lzma"]),
        ("zstd:round-trip", zstd_round_trip, ["_zstd"]),
        ("sqlite3:database", sqlite3_database, ["_sqlite3"]),
        ("sqlite3:extensions", sqlite3_extensions, ["_sqlite3"]),
        ("ctypes:call", ctypes_call, ["_ctypes"]),
        ("ctypes:callback", ctypes_callback, ["_ctypes"]),
        ("curses:terminal", curses_terminal, ["_curses"]),
        ("curses:terminfo", curses_terminfo, ["_curses"]),
        ("readline:history", readline_history, ["readline"]),
        ("readline:quiet", readline_quiet, ["readline"]),
        ("uuid:generate", uuid_generate, []),
        ("decimal:arithmetic", decimal_arithmetic, ["_decimal"]),
        ("hashlib:built-in", hashlib_built_in, []),
        ("hashlib:openssl", hashlib_openssl, ["_hashlib"]),
        ("hashlib:key-derivation", hashlib_key_derivation, ["_hashlib"]),
        ("hashlib:legacy-provider", legacy_provider, ["_hashlib", "_ssl"]),
        ("accelerators", accelerators, []),
        ("unicodedata:names", unicodedata_names, ["unicodedata"]),
        ("xml:parse", xml_parse, ["pyexpat"]),
        ("zoneinfo:data", zoneinfo_data, []),
        ("asyncio:task", asyncio_task, []),
        ("asyncio:stream", asyncio_stream, []),
    ]
    return promised(request, checks)

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


def sqlite3_extensions(request):
    """SQLite tries to load an extension, once it is allowed to."""
    import sqlite3
    database = sqlite3.connect(":memory:")
    expect(hasattr(database, "enable_load_extension"),
           "sqlite3 is built without --enable-loadable-sqlite-extensions")
    absent = request.scratch_path("no-such-extension")
    for allowed, wanted in ((False, "not authorized"), (True, absent)):
        database.enable_load_extension(allowed)
        try:
            database.load_extension(absent)
        except sqlite3.OperationalError as error:
            expect(wanted in str(error), f"it says {error}, not {wanted}")
        else:
            raise Failure("it loads an extension that is not there")
    database.close()


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


def curses_terminal(request):
    import curses
    import curses.panel
    directory, terminal = terminfo_entry(request)
    # Set explicitly: each distribution's ncurses searches other directories.
    os.environ["TERMINFO"] = directory
    try:
        with open(os.devnull, "w") as null:
            curses.setupterm(terminal, null.fileno())
    finally:
        del os.environ["TERMINFO"]
    expect(curses.tigetnum("cols") != -2, f"{terminal} has no number of columns")
    return f"{terminal} of {directory}"


def terminfo_entry(request):
    """Return a terminfo directory and a terminal that it describes."""
    for directory in ("/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo",
                      "/usr/lib/terminfo",
                      os.path.join(request.prefix, "share/terminfo")):
        for terminal in ("xterm", "vt100", "linux", "dumb"):
            # The subdirectory is named by the first letter, or by its code.
            for letter in (terminal[0], f"{ord(terminal[0]):x}"):
                if os.path.isfile(os.path.join(directory, letter, terminal)):
                    return directory, terminal
    raise Skip("neither this system nor the tree has a terminfo entry")


def readline_history(request):
    """The basic REPL does not overwrite a history that it cannot read."""
    home = request.scratch_dir("readline")
    path = os.path.join(home, ".python_history")
    with open(path, "w") as file:
        file.write("print('kept')\n")
    # Not isolated, so that the variable counts.
    run_well([sys.executable, "-B", "-c",
              "import readline, site, sys\n"
              "site.enablerlcompleter()\n"
              "sys.__interactivehook__()\n"
              "readline.add_history('new')\n"],
             env={"HOME": home, "PYTHON_BASIC_REPL": "1", "TERM": "dumb"})
    with open(path) as file:
        expect("print('kept')" in file.read(), "the history is lost")


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


def accelerators(_request):
    """The C versions of modules that silently fall back to Python code."""
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
