"""The speed of pykeel's Python: benchmarks of pyperformance, the sides in turn."""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import plot
import ratios
from common import RELEASE, table
from pythons import CACHE, OLD_RELEASE, built, installed, interpreter, need_debian

# The same pure Python on every side. pyperformance has the benchmarks, and pyperf times them.
PACKAGES = ("pyperf==2.10.0", "pyperformance==1.14.0", "packaging==26.3")
# The benchmarks that need only the standard library. Profiles are not trained on any of them.
BENCHMARKS = """
    chaos comprehensions coroutines deepcopy deltablue fannkuch float generators go hexiom json_dumps
    json_loads logging mdp nbody nqueens pidigits pprint python_startup raytrace regex_compile richards
    scimark spectral_norm typing_runtime_protocols unpack_sequence xml_etree
""".split()
# The training task has work of the same kind, though not this code, so there is also a mean without these.
AKIN = ("nqueens", "generators", "typing_runtime_protocols")
# The least seconds of one value, and the values of one process.
LEAST, VALUES = 0.1, 3


def packages(python):
    """A directory with the packages, by the pip that pykeel's builder flavor has."""
    site = CACHE / "-".join(["site", *(name.replace("==", "-") for name in PACKAGES)])
    if not site.exists():
        # Without dependencies: psutil is compiled, and pyperf does not need it.
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", f"{site}.new", *PACKAGES],
                       check=True, stdout=sys.stderr)
        Path(f"{site}.new").rename(site)
    return site


def values(python, site, name, task, loops, seed, count=VALUES, warmups=1):
    """A task's name, the seconds of each of its values, and how many of these one loop takes, in a process of its own."""
    script = site / f"pyperformance/data-files/benchmarks/bm_{name}/run_benchmark.py"
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(site),
                   "PYTHONHASHSEED": str(seed), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "values.json"
        command = [python, script, "--worker", f"--worker-task={task}", f"--loops={loops}", f"--warmups={warmups}",
                   f"--values={count}", f"--affinity={os.cpu_count() - 1}", "--inherit-environ=PYTHONPATH", "-o", report]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=place)
        if done.returncode:
            sys.exit(f"{name} failed with {python}:\n{done.stderr}")
        if not report.exists():
            return None, None, None
        suite = json.loads(report.read_text())
        benchmark = suite["benchmarks"][0]
        metadata = {**suite.get("metadata", {}), **benchmark.get("metadata", {})}
        return metadata["name"], benchmark["runs"][0]["values"], metadata.get("inner_loops", 1)


def calibrated(python, site, progress):
    """Every task of every benchmark: its name, number and loops, so that a value takes long enough."""
    tasks = []
    for name in BENCHMARKS:
        progress(f"calibrating {name}")
        for task in range(20):
            title, found, within = values(python, site, name, task, 1, 0, count=1, warmups=0)
            if title is None:
                break
            loops = 1
            # The first run is cold, so a second run with more loops finds the number of loops.
            for _ in range(2):
                loops = max(1, 2 ** round(math.log2(LEAST / (found[0] * within))))
                _, found, _ = values(python, site, name, task, loops, 0, count=1)
            tasks.append((name, task, title, loops))
    return tasks


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def measured(pythons, site, rounds):
    """The least value of each process: side -> benchmark -> seconds, round by round."""
    tasks = calibrated(next(iter(pythons.values())), site, progress)
    times = {side: {title: [] for *_, title, _ in tasks} for side in pythons}
    for number in range(rounds):
        for name, task, title, loops in tasks:
            progress(f"round {number + 1} of {rounds}: {title}")
            sides = list(pythons.items())
            # Each side is first, second, ... equally often.
            for side, python in sides[number % len(sides):] + sides[: number % len(sides)]:
                _, found, _ = values(python, site, name, task, loops, number + 1)
                times[side][title].append(min(found))
    progress("")
    return times


def compared(times, ours, against):
    """Ratios of one pair: benchmark -> round by round."""
    return {name: ratios.per_round(times[against][name], series) for name, series in times[ours].items()}


def python(rounds=8, plots=None):
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        options = ("--flavor", "builder", "--bytecode", "unchecked-hash")
        new, old = f"pykeel {RELEASE}", f"pykeel {OLD_RELEASE}"
        pythons = {
            new: interpreter(installed(place / "new", RELEASE, *options)),
            **{name: interpreter(built(name)) for name in ("docker-library", "python-build")},
            old: interpreter(installed(place / "old", OLD_RELEASE, *options), OLD_RELEASE),
            "Debian": need_debian(),
        }
        times = measured(pythons, packages(pythons[new]), rounds)
    pairs = {
        "docker-library's flags": compared(times, new, "docker-library"),
        "python-build's default flags": compared(times, new, "python-build"),
        f"Debian's python3.11 (of pykeel's {OLD_RELEASE})": compared(times, old, "Debian"),
    }
    print(f"{', '.join(PACKAGES[:2])}; {rounds} rounds, all sides in turn within each; how many times as fast pykeel's Python is,")
    print("median of the rounds with its 95 % interval (bootstrap).\n")
    found = {side: {name: ratios.one(series) for name, series in pair.items()} for side, pair in pairs.items()}
    milliseconds = {name: 1000 * statistics.median(series) for name, series in times[new].items()}
    table(["benchmark", f"{new}, ms", *pairs], [
        [name, f"{milliseconds[name]:.3g}", *(ratios.shown(*found[side][name]) for side in pairs)] for name in milliseconds
    ])
    rows = []
    for side, pair in pairs.items():
        value, of_rounds, of_both = ratios.mean(pair)
        held_out, held_out_rounds, _ = ratios.mean({name: series for name, series in pair.items() if not name.startswith(AKIN)})
        rows.append([side, ratios.shown(value, *of_rounds), "{:.3f}-{:.3f}".format(*of_both),
                     ratios.shown(held_out, *held_out_rounds)])
        found[side]["geometric mean"] = (value, *of_rounds)
    table(["pykeel's against", "geometric mean (95 %, over rounds)", "95 %, over rounds and benchmarks",
           f"without {', '.join(AKIN)}"], rows)
    if plots:
        plot.write(plots, "python", "How many times as fast pykeel's Python is", "ratio; more is better", found)
