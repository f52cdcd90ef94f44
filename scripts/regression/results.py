"""The outcome of each test, read from the output of regrtest."""

import re
import xml.etree.ElementTree as ElementTree

from .common import Failure, squeezed


class Results:
    """The outcome of each test (`tests`) and of each test module as a whole (`modules`)."""

    def __init__(self):
        self.modules = {}
        # The outcomes of a test: more than one if it is loaded in two ways.
        self.tests = {}
        # The messages of the failures of a test or module.
        self.texts = {}
        # What failed at first and passed when it was run again.
        self.unsteady = []

    def failing(self):
        """Return the modules that failed as a whole, and the failed tests of the others."""
        tests = [test for test, outcomes in self.tests.items() if "failed" in outcomes]
        modules = {name for name, state in self.modules.items() if not state.startswith(("ran", "skipped"))}
        # A failure in setUpClass has no name with which it could be run.
        modules |= {self.module_of(test) for test in tests if " " in test}
        return sorted(modules), sorted(test for test in tests if self.module_of(test) not in modules)

    def module_of(self, test):
        """Return the test module of a test's name: `test.test_a.Class.test_b`, `setUpClass (test.test_a.Class)`."""
        words = re.split(r"[ ()]", test)
        dotted = next((word for word in words if word.startswith("test.")), "").split(".")[1:]
        names = (".".join(dotted[:length]) for length in range(len(dotted), 0, -1))
        return next((name for name in names if name in self.modules), None)

    def replace(self, rerun, stale):
        """Replace the results that `stale` selects, by test or module, with those of a second run."""
        for test in [test for test in self.tests if stale(test)]:
            if "failed" in self.tests.pop(test) and "failed" not in rerun.tests.get(test, []):
                self.unsteady.append(test)
        for name in [name for name in self.texts if stale(name)]:
            del self.texts[name]
        steady = {name for name, state in self.modules.items() if state == "ran"}
        self.unsteady += [name for name, state in rerun.modules.items() if state == "ran" and name not in steady]
        self.modules.update(rerun.modules)
        self.tests.update(rerun.tests)
        self.texts.update(rerun.texts)

    def replace_modules(self, rerun):
        self.replace(rerun, lambda name: (self.module_of(name) or name) in rerun.modules)

    def replace_tests(self, rerun):
        self.replace(rerun, lambda name: name in rerun.tests)

# The name that unittest prints of a test, with what a subtest adds: `test_a (test.b.C.test_a) (i=1)`.
PRINTED = re.compile(r"(\S+) \(([^)]+)\)")
# A line of regrtest with the outcome of a module.
PROGRESS = re.compile(r"\d+:\d\d:\d\d (?:load avg: \S+ )?(?:mem: .+? )?\[ *\d+/\d+(?:/\d+)?\] (\S+) (.+)")
RULE = "=" * 70


def parse(xml, output, normalize):
    """Read regrtest's JUnit file and its output.

    The file has the name and the outcome of every test, but for two kinds: a test of which a
    subtest failed has no name there, and what fails in setUpClass or setUpModule is missing. The
    printed reports of failures have both. Modules that were skipped or could not be imported are
    only printed.
    """
    results = Results()
    reports = failure_reports(output)
    crashes = {}
    lines = output.splitlines()
    skipped = dict(re.findall(r"^(test_\S+) skipped -- (.*)$", output, re.MULTILINE))
    for number, line in enumerate(lines):
        if crashed := re.match(r"test (\S+) crashed -- Traceback", line):
            # The first line that is not indented is the exception.
            crashes[crashed[1]] = next(line for line in lines[number + 1 :] if line and not line.startswith(" "))
    for line in lines:
        if matched := PROGRESS.match(line):
            name, state = matched[1], matched[2].split(" -- ")[0]
            results.modules[name] = module_state(name, state, skipped, crashes, normalize)
    for name, exception in crashes.items():
        results.texts[name] = [normalize(exception)]

    nameless = 0
    for case in ElementTree.parse(xml).getroot().iter("testcase"):
        name = case.get("name")
        if name is None:
            nameless += 1
            continue
        # A subtest counts as its test, whichever of them is skipped first.
        name = re.sub(r"^(test\.[\w.]+) [\[(].*", r"\1", name)
        outcome = "passed"
        for child in case:
            if child.tag in ("failure", "error"):
                outcome = "failed"
                results.texts.setdefault(name, []).append(normalize(child.text or ""))
            elif child.tag == "skipped":
                outcome = f"skipped: {squeezed(normalize(child.text or ''))}"
            elif child.tag == "output":
                outcome = "expected failure"
            elif child.tag == "outcome":
                outcome = "unexpected success"
        results.tests.setdefault(name, []).append(outcome)

    unnamed = [name for name in reports if "failed" not in results.tests.get(name, [])]
    if len(unnamed) < nameless:
        raise Failure(f"{nameless} tests have no name in {xml}, and {len(unnamed)} failures of others were printed")
    for name in unnamed:
        results.tests.setdefault(name, []).append("failed")
        results.texts[name] = [normalize(text) for text in reports[name]]
    return results


def failure_reports(output):
    """Return the printed failures of each test: one, or one for each subtest."""
    reports = {}
    for block in output.split(f"\n{RULE}\n")[1:]:
        heading, _, text = block.partition("\n")
        kind, _, printed = heading.partition(": ")
        matched = PRINTED.match(printed)
        if kind not in ("FAIL", "ERROR") or not matched:
            continue
        short, full = matched[1], matched[2]
        name = full if full.endswith(f".{short}") else f"{short} ({full})"
        text = re.split(r"\n-{70}\nRan \d+ test", text)[0]
        reports.setdefault(name, []).append(text)
    return reports


def module_state(name, state, skipped, crashes, normalize):
    state = re.sub(r" \([\d.]+ (?:ms|sec|min)[^)]*\)$", "", state)
    if state == "passed" or re.fullmatch(r"failed( \(.*(failure|error)s?\))?|failed \(env changed\)", state):
        return "ran"
    if state.startswith("skipped"):
        return f"skipped: {squeezed(normalize(skipped.get(name, '')))}"
    if name in crashes:
        return f"failed: {normalize(crashes[name])}"
    return f"failed: {state}"
