"""The time that Python takes to start, as another user from a tree that nobody can write to."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import plot
import ratios
from common import RELEASE, table
from pythons import OLD_RELEASE, built, installed, interpreter, of_the_system

NOBODY = 65534
WHAT = {
    "`-I -S -c pass`": ["-I", "-S", "-c", "pass"],
    "`-c pass`": ["-c", "pass"],
    **{f"`import {module}`": ["-c", f"import {module}"] for module in ("json", "asyncio", "ssl", "http.client")},
}


def megabytes(*paths):
    """The disk usage of files in MB. A file with several names counts once."""
    files = {}
    for path in paths:
        for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
            status = file.lstat()
            files[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(files.values()) / 1e6


def docker(place, caches):
    """docker-library's tree: its image has neither tests nor bytecode caches."""
    shutil.copytree(built("docker-library"), place, symlinks=True)
    for path in [*place.rglob("*")]:
        if path.is_dir() and path.name in ("test", "tests", "idle_test") or path.suffix == ".pyc" and not caches or path.suffix == ".a":
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return place


def readable_only(place):
    """Make a tree readable by all and writable by nobody."""
    for path in [place, *place.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o555 if path.is_dir() or mode & 0o100 else 0o444)


def started(python, arguments):
    """The seconds from the start of the process to its end."""
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    start = time.perf_counter()
    subprocess.run([python, *arguments], check=True, cwd="/", env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, **user)
    return time.perf_counter() - start


def startup(rounds=40, plots=None):
    debian = of_the_system(OLD_RELEASE)
    place = Path(tempfile.mkdtemp(prefix="startup-", dir="/var/tmp"))
    try:
        place.chmod(0o755)
        trees = {
            (release, bytecode): installed(place / f"{release}-{bytecode}", release, "--bytecode", bytecode)
            for release in (RELEASE, OLD_RELEASE) for bytecode in ("unchecked-hash", "strip")
        }
        trees["docker-library"] = docker(place / "docker", caches=True)
        trees["docker-library, no caches"] = docker(place / "docker-no-caches", caches=False)
        readable_only(place)
        pythons = {side: interpreter(tree, side[0] if isinstance(side, tuple) else RELEASE) for side, tree in trees.items()}
        sizes = {side: megabytes(tree) for side, tree in trees.items()}
        pythons["Debian"] = debian
        sizes["Debian"] = megabytes(debian, Path("/usr/lib/python3.11"))
        times = measured(pythons, rounds)
    finally:
        subprocess.run(["chmod", "-R", "u+w", place], check=True)
        shutil.rmtree(place)
    report(times, sizes, rounds, plots)


def measured(pythons, rounds):
    """side -> what -> seconds, round by round."""
    # Run on the last processor only.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    times = {side: {what: [] for what in WHAT} for side in pythons}
    for number in range(rounds + 1):
        for what, arguments in WHAT.items():
            sides = list(pythons.items())
            for side, python in sides[number % len(sides):] + sides[: number % len(sides)]:
                took = started(python, arguments)
                # The first round reads the files from disk and does not count.
                if number:
                    times[side][what].append(took)
    return times


def report(times, sizes, rounds, plots):
    pairs = {}
    for bytecode in ("unchecked-hash", "strip"):
        for release, other in ((RELEASE, "docker-library"), (RELEASE, "docker-library, no caches"), (OLD_RELEASE, "Debian")):
            pairs[(release, bytecode), other] = {
                what: ratios.one(ratios.per_round(times[release, bytecode][what], times[other][what])) for what in WHAT
            }
    print(f"{rounds} rounds, all sides in turn within each; a read-only tree, another user; the time of pykeel's divided by the")
    print("other's, median of the rounds with its 95 % interval (bootstrap).\n")
    table(["pykeel's", "against", *WHAT, "MB", "MB of the other"], [
        [" ".join(ours), other, *(ratios.shown(*found[what]) for what in WHAT), f"{sizes[ours]:.1f}", f"{sizes[other]:.1f}"]
        for (ours, other), found in pairs.items()
    ])
    table(["milliseconds, median", *WHAT], [
        [" ".join(side) if isinstance(side, tuple) else side, *(f"{1000 * statistics.median(series[what]):.1f}" for what in WHAT)]
        for side, series in times.items()
    ])
    if plots:
        series = {f"{' '.join(ours)} / {other}": {what.strip("`"): point for what, point in found.items()}
                  for (ours, other), found in pairs.items() if ours[1] == "unchecked-hash"}
        plot.write(plots, "startup", "Time to start, pykeel's divided by the other's", "ratio; less is better", series)
