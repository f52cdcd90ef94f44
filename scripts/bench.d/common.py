"""Helpers of all measurements: results of pykeel, times, tables, the machine."""

import json
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
PYKEEL = TOP / "target/release/pykeel"
RELEASE = "3.13.5"
STORE = Path(os.environ.get("PYKEEL_STORE") or Path.home() / ".cache/pykeel")


def pykeel(*arguments, store=STORE):
    """The result of a pykeel command."""
    command = [PYKEEL, *arguments, "--json", "--quiet", "--store", store]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def artifact(*options, release=RELEASE):
    """An artifact of a release, built if the store does not have it."""
    return pykeel("build", release, *options)[0]


def timed(command, **options):
    """The wall clock of a command in seconds."""
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    return time.monotonic() - start


def table(headings, rows):
    print("|", " | ".join(headings), "|")
    print("|", " | ".join("---" for _ in headings), "|")
    for row in rows:
        print("|", " | ".join(map(str, row)), "|")
    print()


def seconds(values):
    """The median of some values, with their range."""
    return f"{statistics.median(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def unpacked_source(directory, release=RELEASE):
    """The verified source, unpacked."""
    recipe = pykeel("recipe", "show", release)
    archive = STORE / "sources" / recipe["sums"]["xz"]
    subprocess.run(["tar", "-xJf", archive, "-C", directory], check=True)
    return directory / f"Python-{release}"


def output(*command):
    """The output of a command, or nothing if it is not installed."""
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return ""


def machine():
    """The machine, in one line."""
    information = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in information if line.startswith("model name")), platform.machine())
    distribution = output("sh", "-c", ". /etc/os-release && echo $PRETTY_NAME")
    compiler = output("cc", "--version").partition("\n")[0]
    kernel = platform.release().split("-")[0]
    return f"{model}, {os.cpu_count()} processors, {distribution}, Linux {kernel}, {compiler}, CPython {RELEASE}."
