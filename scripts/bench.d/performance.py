"""The speed of pykeel's Python: benchmarks of pyperformance, the sides in turn."""

import dataclasses
import json
import math
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import plot
import ratios
from common import RELEASE, table
from pythons import CACHE, FLAGS, built, installed, interpreter, of_the_system

# The same pure Python on every side. pyperformance has the benchmarks, and pyperf times them.
PACKAGES = ("pyperf==2.10.0", "pyperformance==1.14.0", "packaging==26.3")
# The benchmarks that need only the standard library. Profiles are not trained on any of them.
STANDARD = """
    chaos comprehensions coroutines deepcopy deltablue fannkuch float generators go hexiom json_dumps
    json_loads logging mdp nbody nqueens pidigits pprint python_startup raytrace regex_compile richards
    scimark spectral_norm typing_runtime_protocols unpack_sequence xml_etree
""".split()
# The training task has work of the same kind, though not this code, so there is also a mean without these.
AKIN = ("nqueens", "generators", "typing_runtime_protocols")
# Those that run packages of others. No training has seen any of these packages.
WITH_PACKAGES = [
    "chameleon", "crypto_pyaes", "django_template", "docutils", "dulwich_log", "genshi", "html5lib", "mako",
    "networkx connected_components", "networkx shortest_path", "sqlalchemy_declarative", "sqlalchemy_imperative",
    "sqlglot_v2 normalize", "sqlglot_v2 optimize", "sqlglot_v2 parse", "sqlglot_v2 transpile", "sympy", "tomli_loads",
    "tornado_http", "xdsl",
]
# The versions that pyperformance pins, but for those that need modules which Python 3.12 removed.
THEIR_PACKAGES = """
    asgiref==3.10.0 certifi==2021.5.30 chameleon==4.6.0 django==5.2.8 docutils==0.18.1 dulwich==0.20.23 genshi==0.7.7
    greenlet==3.2.4 html5lib==1.1 immutabledict==4.2.1 mako==1.1.4 markupsafe==2.0.1 mpmath==1.3.0 networkx==3.4.2
    ordered-set==4.1.0 pyaes==1.6.1 six==1.16.0 sqlalchemy==1.4.19 sqlglot==4.6.0 sqlparse==0.5.3 sympy==1.14.0
    tomli==2.0.1 tornado==6.5.2 typing-extensions==4.15.0 urllib3==1.26.5 webencodings==0.5.1 xdsl==0.54.3
""".split()
# The least seconds of one value, and the values of one process.
LEAST, VALUES = 0.1, 3


@dataclasses.dataclass(frozen=True)
class Suite:
    """A list of benchmarks, each with its arguments, and what to install for them."""

    benchmarks: list
    packages: list
    akin: tuple = ()


SUITES = {
    "standard": Suite(STANDARD, [*PACKAGES], AKIN),
    "packages": Suite(WITH_PACKAGES, [*PACKAGES, *THEIR_PACKAGES]),
}


def packages(python, release, name):
    """A directory with the packages of a suite, by the pip that pykeel's builder flavor has."""
    site = CACHE / f"site-{name}-{release.rpartition('.')[0]}"
    listed = "\n".join(SUITES[name].packages)
    if not (site / "listed").exists() or (site / "listed").read_text() != listed:
        new = Path(f"{site}.new")
        for old in (site, new):
            shutil.rmtree(old, ignore_errors=True)
        # Without dependencies: psutil is compiled, and pyperf does not need it.
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", new,
                        *SUITES[name].packages], check=True, stdout=sys.stderr)
        (new / "listed").write_text(listed)
        new.rename(site)
    return site


class Task(NamedTuple):
    """A task of a benchmark."""

    # The benchmark, with its arguments.
    benchmark: str
    # The place among the benchmark's tasks.
    number: int
    # How often a value repeats it.
    loops: int


class Values(NamedTuple):
    """The values that a process measures."""

    count: int = VALUES
    warmups: int = 1


def values(python, site, task, seed, wanted=Values()):
    """A task's name, the seconds of each of its values, and how many of these one loop takes, in a process of its own."""
    name, *arguments = task.benchmark.split()
    script = site / f"pyperformance/data-files/benchmarks/bm_{name}/run_benchmark.py"
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(site),
                   "PYTHONHASHSEED": str(seed), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "values.json"
        command = [python, script, "--worker", f"--worker-task={task.number}", f"--loops={task.loops}",
                   f"--warmups={wanted.warmups}", f"--values={wanted.count}", f"--affinity={os.cpu_count() - 1}", "--inherit-environ=PYTHONPATH", "-o", report, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=place)
        if done.returncode:
            sys.exit(f"{name} failed with {python}:\n{done.stderr}")
        if not report.exists():
            return None, None, None
        suite = json.loads(report.read_text())
        benchmark = suite["benchmarks"][0]
        metadata = {**suite.get("metadata", {}), **benchmark.get("metadata", {})}
        return metadata["name"], benchmark["runs"][0]["values"], metadata.get("inner_loops", 1)


def calibrated(python, site, benchmarks):
    """Every task of every benchmark with its title, and with loops so that a value takes long enough."""
    tasks = []
    for name in benchmarks:
        progress(f"calibrating {name}")
        for number in range(20):
            task = Task(name, number, 1)
            title, found, within = values(python, site, task, 0, Values(1, 0))
            if title is None:
                break
            # The first run is cold, so a second run with more loops finds the number of loops.
            for _ in range(2):
                task = task._replace(loops=max(1, 2 ** round(math.log2(LEAST / (found[0] * within)))))
                _, found, _ = values(python, site, task, 0, Values(1))
            tasks.append((task, title))
    return tasks


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def measured(pythons, site, benchmarks, rounds):
    """The least value of each process: side -> benchmark -> seconds, round by round."""
    tasks = calibrated(next(iter(pythons.values())), site, benchmarks)
    times = {side: {title: [] for _, title in tasks} for side in pythons}
    for number in range(rounds):
        for task, title in tasks:
            progress(f"round {number + 1} of {rounds}: {title}")
            sides = list(pythons.items())
            # Each side is first, second, ... equally often.
            for side, python in sides[number % len(sides):] + sides[: number % len(sides)]:
                _, found, _ = values(python, site, task, number + 1)
                times[side][title].append(min(found))
    progress("")
    return times


def compared(times, ours, against):
    """Ratios of one pair: benchmark -> round by round."""
    return {name: ratios.per_round(times[against][name], series) for name, series in times[ours].items()}


OPTIONS = ("--flavor", "builder", "--bytecode", "unchecked-hash")


def side(name, place, release):
    """The interpreter of a side: another project's flags, the system's own, or pykeel's with other options."""
    if name in FLAGS:
        return interpreter(built(name, release), release)
    if name == "system":
        return of_the_system(release)
    program, *options = shlex.split(name)
    if program != "pykeel":
        sys.exit(f"{name}: give {', '.join(FLAGS)}, system, or pykeel with options of `pykeel build`")
    return interpreter(installed(place, release, *OPTIONS, *options), release)


def python(rounds=8, plots=None, release=RELEASE, against=(), suite="standard"):
    against = against or ["docker-library", "python-build"]
    ours = f"pykeel {release}"
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        pythons = {ours: interpreter(installed(place / "ours", release, *OPTIONS), release)}
        pythons |= {name: side(name, place / str(number), release) for number, name in enumerate(against)}
        site = packages(pythons[ours], release, suite)
        times = measured(pythons, site, SUITES[suite].benchmarks, rounds)
    pairs = {name: compared(times, ours, name) for name in against}
    print(f"{', '.join(PACKAGES[:2])}; {rounds} rounds, all sides in turn within each; how many times as fast pykeel's Python is,")
    print("median of the rounds with its 95 % interval (bootstrap).\n")
    found = {side: {name: ratios.one(series) for name, series in pair.items()} for side, pair in pairs.items()}
    milliseconds = {name: 1000 * statistics.median(series) for name, series in times[ours].items()}
    table(["benchmark", f"{ours}, ms", *pairs], [
        [name, f"{milliseconds[name]:.3g}", *(ratios.shown(*found[side][name]) for side in pairs)] for name in milliseconds
    ])
    akin = SUITES[suite].akin
    rows = []
    for side_name, pair in pairs.items():
        value, of_rounds, of_both = ratios.mean(pair)
        row = [side_name, ratios.shown(value, *of_rounds), "{:.3f}-{:.3f}".format(*of_both)]
        if akin:
            held_out, held_out_rounds, _ = ratios.mean({name: series for name, series in pair.items() if not name.startswith(akin)})
            row.append(ratios.shown(held_out, *held_out_rounds))
        rows.append(row)
        found[side_name]["geometric mean"] = (value, *of_rounds)
    table([f"{ours} against", "geometric mean (95 %, over rounds)", "95 %, over rounds and benchmarks",
           *([f"without {', '.join(akin)}"] if akin else [])], rows)
    if plots:
        plot.write(plots, "python", "How many times as fast pykeel's Python is", "ratio; more is better", found)
