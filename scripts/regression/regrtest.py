"""Runs tests with regrtest, and keeps what it wrote."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess

from .common import PATH, PROCESSORS, Failure, fresh, say, tail_of
from .results import parse
from .source import interpreter

# Most of the tests that take long wait for something.
TEST_PROCESSES = min(2 * PROCESSORS, 16)
# What one test module, and what a whole run of many may take, in seconds.
MODULE_TIMEOUT = 300
RUN_TIMEOUT = 1800


def heed_signals():
    # What a shell runs in the background ignores these, and so would the tests, some of which wait
    # for what they do.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def run_tests(python, source, run_of, modules, tests, place, processes, pythonpath):
    """Runs test modules by regrtest, or of these only some tests."""
    fresh(place)
    home, temporary = place / "home", place / "tmp"
    home.mkdir()
    temporary.mkdir()
    xml, output = place / "junit.xml", place / "output"
    environment = {"PATH": PATH, "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm", "TMPDIR": str(temporary)}
    if pythonpath:
        environment["PYTHONPATH"] = str(pythonpath)
    words = [interpreter(python, source), "-m", "test", f"-j{processes}", "-W", "-u", ",".join(run_of.resources)]
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
            # What a test left running would go on into the next run.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
    if not re.search(r"^Result: (SUCCESS|FAILURE)", output.read_text(errors="replace"), re.MULTILINE):
        raise Failure(f"the tests did not run to their end; {tail_of(output)}")
    if not xml.exists():
        # Where no module could even be imported there are no tests.
        xml.write_text("<testsuites/>")


def results_of(python, source, run_of, place, keep, pythonpath=None):
    """Runs a section of the selection, and once more what failed; keeps what regrtest wrote."""

    def attempt(name, modules, tests=(), processes=1):
        run_tests(python, source, run_of, modules, tests, place / name, processes, pythonpath)
        kept = fresh(keep / name)
        for file in ("junit.xml", "output"):
            shutil.copy(place / name / file, kept)
        # The paths of this run, which messages have in them.
        (kept / "paths").write_text(json.dumps({"{prefix}": str(python), "{tmp}": str(place / name / "tmp")}))
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
    """The results that a directory has the files of."""
    paths = json.loads((directory / "paths").read_text())

    def normalize(text):
        for name, path in paths.items():
            text = text.replace(path, name)
        return text

    return parse(directory / "junit.xml", (directory / "output").read_text(errors="replace"), normalize)


def kept_results(keep):
    """The results that a run left in a directory, if it came to its end."""
    if not (keep / "done").exists():
        return None
    results = read_results(keep / "first")
    if (keep / "modules").exists():
        results.replace_modules(read_results(keep / "modules"))
    if (keep / "tests").exists():
        results.replace_tests(read_results(keep / "tests"))
    return results
