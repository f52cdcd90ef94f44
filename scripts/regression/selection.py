"""Which tests are run, and which differences are explained: the files in tests/data/regression."""

import configparser
from pathlib import Path

from .common import Failure, squeezed

DATA = Path(__file__).resolve().parent.parent.parent / "tests/data/regression"


class Run:
    """A section of selection.ini."""

    def __init__(self, name, section):
        self.name = name
        self.flavor = section["flavor"]
        self.resources = section["resources"].split()
        self.modules = section["modules"].split()
        # What is added to the installed tree besides Lib/test, for tests that another run has without it.
        self.completed = section.get("completed", "").split()


def read_ini(name):
    # `:` and `%` have no meaning: names of tests and messages contain both.
    parser = configparser.ConfigParser(interpolation=None, delimiters=["="])
    parser.optionxform = str
    with open(DATA / name, encoding="utf-8") as file:
        parser.read_file(file)
    return parser


def read_selection():
    """Return the runs of selection.ini."""
    parser = read_ini("selection.ini")
    return [Run(name, parser[name]) for name in parser.sections()]


class Explanation:
    """One test, or one test module as a whole, of a section of differences.ini."""

    def __init__(self, cause, section, run_name, test):
        self.cause = cause
        self.run = run_name
        self.test = test
        self.here = section["here"]
        self.untouched = section["untouched"]
        self.evidence = section.get("evidence")
        self.reason = squeezed(section["reason"])


def read_explanations(runs):
    """Return the explanations of differences.ini, by run and test."""
    parser = read_ini("differences.ini")
    found = {}
    for cause in parser.sections():
        section = parser[cause]
        for name in section["runs"].split():
            if name not in {run.name for run in runs}:
                raise Failure(f"differences.ini: [{cause}] is about a run `{name}`, and selection.ini has none")
            for test in section["tests"].split("\n"):
                if test and found.setdefault((name, test), Explanation(cause, section, name, test)).cause != cause:
                    raise Failure(f"differences.ini: {test} of the run {name} is explained twice")
        if section["here"].startswith("failed") and not section.get("evidence"):
            raise Failure(f"differences.ini: [{cause}] is a failure and needs the evidence of its cause")
    return found
