"""All checks, and the process that runs them."""

import json
import os

from .certificates import certificate_checks
from .check import Check, Failure, describe
from .imports import import_checks, stdlib_checks
from .launches import launch_checks
from .layout import layout_checks
from .libpython import embedding_checks
from .modules import module_checks
from .processes import multiprocessing_checks, process_checks
from .python_config import config_checks
from .request import Request
from .runner import run_groups
from .scripts import script_checks
from .tls import tls_checks
from .venvs import run_inside_venv, venv_groups


# Other variables could change how the Python behaves.
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE")


def plan(request):
    """Return all checks in groups, those that explain other failures first.

    Groups are started from the end, where the long ones are.
    """
    groups = [
        ("imports", import_checks(request)),
        ("layout", layout_checks(request)),
        ("launch", launch_checks(request)),
        ("modules", module_checks(request)),
        ("processes", process_checks(request)),
        ("embedding", embedding_checks(request)),
        ("python-config", config_checks(request)),
        ("multiprocessing", multiprocessing_checks(request)),
        ("scripts", attempt(script_checks, "scripts", request)),
        ("tls", tls_checks(request) + certificate_checks(request)),
        ("stdlib", attempt(stdlib_checks, "stdlib", request)),
        *venv_groups(request),
    ]
    return [(name, checks) for name, checks in groups if checks]


def attempt(make_checks, name, request):
    """Return the checks that a function finds, or one failed check if it raises."""
    try:
        return make_checks(request)
    except Exception as error:
        reason = describe(error)

        def check(_request):
            raise Failure(reason)
        return [Check(name, check)]


def scrub_environment(request):
    """Hide the user's settings from the checks, and keep the tree unchanged."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update({
        "HOME": request.scratch_dir("home"),
        "TMPDIR": request.scratch_dir("tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    })


def import_common_modules():
    """Import once, before the forks. A check reports if one of them is broken."""
    for name in ("subprocess", "sysconfig", "importlib.util", "shlex", "socket"):
        try:
            __import__(name)
        except Exception:
            pass


def main(arguments):
    """Run the checks that REQUEST.json asks for, and print the results as JSON."""
    request = Request(arguments[0])
    scrub_environment(request)
    if len(arguments) > 1:
        request.venv = os.path.normpath(arguments[1])
        checks = run_inside_venv(request)
    else:
        import_common_modules()
        checks = run_groups(plan(request), request)
    print(json.dumps({"checks": checks}), flush=True)
