"""Runs tests with regrtest, and keeps its output."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple, Optional

from .common import PATH, PROCESSORS, Failure, fresh, say, tail_of
from .results import parse
from .source import Source, interpreter

# Most of the slow tests wait, so there are more processes than processors.
TEST_PROCESSES = min(2 * PROCESSORS, 16)
# Time limits for one test module and for a whole run, in seconds.
MODULE_TIMEOUT = 300
RUN_TIMEOUT = 1800


def heed_signals():
    # A shell's background processes ignore these signals, and so would the tests, some of which
    # expect them.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


class Side(NamedTuple):
    """An installed Python whose tests are run."""

    prefix: Path
    source: Source
    # Where the modules of tests are, if the prefix does not have them.
    pythonpath: Optional[Path] = None


def run_tests(side, run_of, chosen, place, processes):
    """Run the chosen test modules with regrtest, or only the chosen ones of their tests."""
    modules, tests = chosen
    fresh(place)
    home, temporary = place / "home", place / "tmp"
    home.mkdir()
    temporary.mkdir()
    xml, output = place / "junit.xml", place / "output"
    environment = {"PATH": PATH, "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm", "TMPDIR": str(temporary)}
    if side.pythonpath:
        environment["PYTHONPATH"] = str(side.pythonpath)
    words = [interpreter(side.prefix, side.source), "-m", "test", f"-j{processes}", "-W", "-u", ",".join(run_of.resources)]
    words += ["--timeout", str(MODULE_TIMEOUT), "--junit-xml", xml]
    words += [word for test in tests for word in ("--match", test)]
    words += modules
    with open(output, "wb") as file:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=home,
            env=environment,
            start_new_session=True,
            preexec_fn=heed_signals,
        )
        try:
            process.wait(RUN_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Failure(f"the tests took more than {RUN_TIMEOUT} s; {tail_of(output)}") from None
        finally:
            # A process that a test left behind would disturb the next run.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
    if not re.search(r"^Result: (SUCCESS|FAILURE)", output.read_text(errors="replace"), re.MULTILINE):
        raise Failure(f"the tests did not run to their end; {tail_of(output)}")
    if not xml.exists():
        # There are no tests if no module could be imported.
        xml.write_text("<testsuites/>")


def results_of(side, run_of, place, keep):
    """Run a section of the selection, and then its failures again; keep the output of regrtest."""

    def attempt(name, modules, tests=(), processes=1):
        run_tests(side, run_of, (modules, tests), place / name, processes)
        kept = fresh(keep / name)
        for file in ("junit.xml", "output"):
            shutil.copy(place / name / file, kept)
        # The paths of this run, which messages contain.
        (kept / "paths").write_text(json.dumps({"{prefix}": str(side.prefix), "{tmp}": str(place / name / "tmp")}))
        return read_results(kept)

    fresh(keep)
    results = attempt("first", run_of.modules, processes=TEST_PROCESSES)
    modules, tests = results.failing()
    if modules:
        say(f"{run_of.name}: once more, alone: {' '.join(modules)}")
        attempt("modules", modules)
    if tests:
        say(f"{run_of.name}: once more, alone: {len(tests)} tests")
        attempt("tests", sorted({results.module_of(test) for test in tests}), tests)
    (keep / "done").touch()
    return kept_results(keep)


def read_results(directory):
    """Return the results from the files in a directory."""
    paths = json.loads((directory / "paths").read_text())

    def normalize(text):
        for name, path in paths.items():
            text = text.replace(path, name)
        return text

    return parse(directory / "junit.xml", (directory / "output").read_text(errors="replace"), normalize)


def kept_results(keep):
    """Return the results that a complete run left in a directory, or None."""
    if not (keep / "done").exists():
        return None
    results = read_results(keep / "first")
    if (keep / "modules").exists():
        results.replace_modules(read_results(keep / "modules"))
    if (keep / "tests").exists():
        results.replace_tests(read_results(keep / "tests"))
    return results
