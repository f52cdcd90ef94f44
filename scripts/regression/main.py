"""Command line, report and exit code."""

import argparse
import fcntl
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import __doc__ as documentation
from .common import Failure, digest_of, say
from .comparison import counts, describe, failed_alike, judge, side_report
from .reference import Reference
from .regrtest import Side, kept_results, results_of
from .selection import read_explanations, read_selection
from .source import Source
from .subject import Subject

# Part of the cache's keys: another number invalidates the cached results of tests.
RUN_FORMAT = 1


def compare(run_of, subject, reference, explanations):
    """Run the tests of a run on both sides, and return its part of the report."""
    with tempfile.TemporaryDirectory(prefix="pykeel-tests-") as temporary:
        place = Path(temporary).resolve()
        prefix, outside = subject.install(run_of, place)
        say(f"{run_of.name}: pykeel's side")
        started = time.monotonic()
        side = Side(prefix, subject.source, outside)
        here = results_of(side, run_of, place, subject.cache / "results" / run_of.name)
        seconds = {"here": round(time.monotonic() - started, 1)}

        key = digest_of(RUN_FORMAT, run_of.resources, run_of.modules, os.geteuid() == 0)
        keep = reference.root / "results" / f"{run_of.name}-{key}"
        untouched = kept_results(keep)
        verdict = untouched and judge(run_of, here, untouched, explanations)
        # A cached result may be from before the machine got other programs or another kernel.
        if verdict is None or verdict["unexplained"] or verdict["unneeded"]:
            say(f"{run_of.name}: the untouched side")
            started = time.monotonic()
            untouched = results_of(Side(reference.prefix, subject.source), run_of, place, keep)
            seconds["untouched"] = round(time.monotonic() - started, 1)
            verdict = judge(run_of, here, untouched, explanations)

    modules = sorted(set(here.modules) | set(untouched.modules))
    return {
        "flavor": run_of.flavor,
        "resources": run_of.resources,
        "seconds": seconds,
        "here": side_report(here),
        "untouched": side_report(untouched),
        **verdict,
        "failed on both sides": failed_alike(here, untouched),
        "modules": {name: {"here": counts(here, name), "untouched": counts(untouched, name)} for name in modules},
    }


def parse_arguments():
    parser = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("pykeel", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--artifact", type=Path, action="append", default=[], help="what the build must give")
    parser.add_argument("--run", action="append", default=[], help="this run of the selection alone")
    return parser.parse_args()


def report_of(arguments, cache):
    """Build both sides, run the tests on them, and return the report."""
    started = time.monotonic()
    runs = read_selection()
    explanations = read_explanations(runs)
    if unknown := set(arguments.run) - {run_of.name for run_of in runs}:
        raise Failure(f"selection.ini has no run {' '.join(sorted(unknown))}")
    source = Source(arguments.archive, cache)
    subject = Subject(arguments.pykeel.resolve(), source, cache)
    subject.prepare(arguments.artifact)
    reference = Reference(source, subject, cache)
    reference.prepare()
    built = time.monotonic()
    report = {
        "python": source.version,
        "source": source.sum,
        "compiler": subject.manifest["plan"]["toolchain"]["compiler"],
        "artifacts": {
            flavor: {key: artifact[key] for key in ("name", "build_key", "digest")}
            for flavor, artifact in subject.built.items()
        },
        "runs": {},
    }
    for run_of in runs:
        if not arguments.run or run_of.name in arguments.run:
            report["runs"][run_of.name] = compare(run_of, subject, reference, explanations)
    report["seconds"] = {
        "building": round(built - started, 1),
        "all": round(time.monotonic() - started, 1),
    }
    return report


def compare_sides():
    """Write the report, describe it, and return whether there is an unexplained difference."""
    arguments = parse_arguments()
    # An exit by an exception, so that child processes are killed and temporary directories removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    cache = arguments.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        report = report_of(arguments, cache)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    for name, of_run in report["runs"].items():
        for line in describe(name, of_run):
            say(line)
    return any(of_run["unexplained"] or of_run["unneeded"] for of_run in report["runs"].values())


def main():
    """Return the exit code: 0, 1 if there is a difference, 2 if the comparison failed."""
    try:
        return int(compare_sides())
    except Failure as failure:
        say(f"error: {failure}")
        return 2
