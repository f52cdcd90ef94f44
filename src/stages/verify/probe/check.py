"""A check: a name, and a function that raises an exception or returns a detail."""

import os
import sys

PACKAGE = os.path.dirname(os.path.abspath(__file__))

# A check that takes longer than this, in seconds, hangs. Nearly all take less than
# one, but a machine can be busy with several builds.
CHECK_SECONDS = 120
# The same for a check that runs pip.
PIP_SECONDS = 300


class Skip(Exception):
    """The root lacks what a check needs."""


class Failure(Exception):
    """A check found something wrong."""


class Check:
    """A name, and a function of the request."""

    def __init__(self, name, function, seconds=CHECK_SECONDS):
        self.name = name
        self.function = function
        self.seconds = seconds

    def run(self, request):
        """Run the check, whatever it raises, and return its result."""
        try:
            detail = self.function(request)
        except Skip as reason:
            return self.result("skipped", reason)
        except Failure as reason:
            return self.result("failed", reason)
        except BaseException as error:  # SystemExit is no better than the rest
            return self.result("failed", describe(error))
        return self.result("passed", detail or "")

    def result(self, status, detail):
        # Characters that cannot be encoded (a lone surrogate of a path) are escaped.
        detail = str(detail).encode("utf-8", "backslashreplace").decode("utf-8")
        return {"name": self.name, "status": status, "detail": detail}


def promised(request, checks):
    """Return the checks whose modules the recipe promises."""
    known = set(request.modules).union(sys.builtin_module_names)
    return [Check(name, function) for name, function, needed in checks
            if known.issuperset(needed)]


def expect(condition, message):
    """Fail with a message unless a condition holds."""
    if not condition:
        raise Failure(message)


def describe(error):
    """Return an error as one line, with the last line of this package in its traceback."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        directory, name = os.path.split(trace.tb_frame.f_code.co_filename)
        if directory == PACKAGE:
            place = f" ({name}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{place}"
