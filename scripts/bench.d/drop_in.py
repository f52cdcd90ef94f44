"""pykeel under the name of python-build against the original: time, size, modules, speed."""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import performance
import ratios
from common import PYKEEL, RELEASE, STORE, artifact, pykeel, seconds, table
from pythons import interpreter

# Prints the modules of the standard library that cannot be imported.
MISSING = """
import importlib, sys, warnings
warnings.simplefilter("ignore")
for name in sorted(sys.stdlib_module_names):
    # What belongs to another system, and what does something when it is imported.
    if name in {"antigravity", "this", "idlelib", "msilib", "nt", "winreg", "winsound", "msvcrt", "_winapi", "_wmi", "_scproxy",
                "_overlapped", "nturl2path", "_msi", "_ios_support", "_android_support"}:
        continue
    try:
        importlib.import_module(name)
    except ImportError:
        print(name)
"""


def disk(tree):
    """The disk usage of a tree in MB."""
    return int(subprocess.run(["du", "-s", "--block-size=1", tree], check=True, capture_output=True, text=True).stdout.split()[0]) / 1e6


def builds(place, name, command, environment):
    """The seconds of one build, of wall clock and of the processors."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    with (place / f"{name}.log").open("w") as log:
        if subprocess.run(command, stdout=log, stderr=log, env=environment).returncode:
            sys.exit((place / f"{name}.log").read_text())
    took = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def drop_in(rounds=1, original=None):
    original = original or os.environ.get("PYKEEL_PYTHON_BUILD") or shutil.which("python-build")
    if not original:
        sys.exit("python-build is not found: name it with --original, for example plugins/python-build/bin/python-build of pyenv")
    artifact()  # The source is in the store now.
    source = STORE / "sources" / pykeel("recipe", "show", RELEASE)["sums"]["xz"]
    version = subprocess.run([original, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    wall, processor = ({name: [] for name in ("pykeel", "python-build")} for _ in range(2))
    with tempfile.TemporaryDirectory(dir=STORE) as place:
        place = Path(place)
        (place / "cache").mkdir()
        shutil.copy(source, place / "cache" / f"Python-{RELEASE}.tar.xz")
        plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        trees = {}
        for number in range(rounds):
            commands = {"pykeel": [PYKEEL, "python-build"], "python-build": [original]}
            for name, command in commands.items():
                trees[name] = place / f"{name}-{number}"
                # Each build has everything to do: a store, and a directory for temporary files, of its own.
                scratch = place / f"scratch-{name}-{number}"
                scratch.mkdir()
                environment = {**plain, "PYTHON_BUILD_CACHE_PATH": str(place / "cache"), "TMPDIR": str(scratch),
                               "PYKEEL_STORE": str(scratch / "store")}
                took = builds(place, name, [*command, RELEASE, trees[name]], environment)
                wall[name].append(took[0])
                processor[name].append(took[1])
        print(f"{version}; defaults of both, the source at hand; {rounds} rounds, alternating; median (minimum-maximum).\n")
        rows = []
        # Before anything runs: bytecode caches are counted as they are delivered.
        sizes = {name: disk(tree) for name, tree in trees.items()}
        for name, tree in trees.items():
            missing = subprocess.run([interpreter(tree), "-B", "-c", MISSING], check=True, capture_output=True, text=True).stdout.split()
            rows.append([name, seconds(wall[name]), seconds(processor[name]), f"{sizes[name]:.1f}", ", ".join(missing) or "none"])
        rows.append(["ratio", *(f"{statistics.median(times['pykeel']) / statistics.median(times['python-build']):.2f}"
                                for times in (wall, processor)), f"{sizes['pykeel'] / sizes['python-build']:.3f}", ""])
        table(["build", "seconds, wall clock", "seconds, processors", "MB on disk", "modules that cannot be imported"], rows)
        pythons = {name: interpreter(tree) for name, tree in trees.items()}
        site = performance.packages(pythons["python-build"], RELEASE, "standard")
        times = performance.measured(pythons, site, performance.STANDARD, 3)
    value, of_rounds, of_both = ratios.mean(performance.compared(times, "pykeel", "python-build"))
    print("The geometric mean of pyperformance's benchmarks that need only the standard library, three rounds: pykeel's Python is "
          f"{ratios.shown(value, *of_rounds)} times as fast, over rounds and benchmarks " + "{:.3f}-{:.3f}".format(*of_both) + ".\n")
