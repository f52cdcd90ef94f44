"""Virtual environments, and what holds in them."""

import json
import os
import sys

from .check import PACKAGE, PIP_SECONDS, Check, expect
from .commands import how_it_ended, python, run, run_well
from .extension import pip_checks
from .imports import promised_import
from .layout import layout_checks
from .venv_paths import venv_executable, venv_path

ENTRY = os.path.join(PACKAGE, "__main__.py")


def venv_groups(request):
    """Return a group for each kind of venv, so that they are made in parallel."""
    # One venv with pip is enough for the builder flavor: it takes seconds.
    without_pip = ["--without-pip"] if request.builder else []
    return [
        ("venv-without-pip", venv_checks("without-pip", ["--without-pip"])),
        ("venv-copies", venv_checks("copies", ["--copies", *without_pip])),
        ("venv-default", venv_checks("default", [])
         + (pip_checks(request) if request.builder else [])),
    ]


def venv_checks(kind, options):
    return [
        Check(f"venv:{kind}:create", venv_create(kind, options), PIP_SECONDS),
        Check(f"venv:{kind}:pip", venv_pip(kind, options), PIP_SECONDS),
        Check(f"venv:{kind}:python", venv_python(kind)),
    ]


def venv_create(kind, options):
    def check(request):
        target = venv_path(request, kind)
        done = run(python("-m", "venv", *options, target), PIP_SECONDS - 5)
        said = done.stderr.strip()
        expect(done.returncode == 0, how_it_ended(done))
        if not request.builder and "--without-pip" not in options:
            expect("without pip" in said and len(said.splitlines()) == 1,
                   f"it does not say that pip is left out, but: {said!r}")
        else:
            expect(not said, f"it complains: {said}")
    return check


def venv_pip(kind, options):
    """The venv has pip if and only if it should."""
    def check(request):
        wanted = request.builder and "--without-pip" not in options
        executable = venv_executable(request, kind)
        scripts = [name for name in os.listdir(os.path.dirname(executable))
                   if name.startswith("pip")]
        if not wanted:
            expect(not scripts, f"it has {scripts}")
            return "without pip"
        version = run_well(python("-m", "pip", "--version", executable=executable),
                           seconds=PIP_SECONDS - 5)
        expect(scripts, "there is no pip script")
        return version.strip()
    return check


def venv_python(kind):
    """Run the layout checks and some imports inside the venv."""
    def check(request):
        executable = venv_executable(request, kind)
        if kind == "copies":
            expect(not os.path.islink(executable), "bin/python is a link")
        out = run_well(python(ENTRY, request.path, venv_path(request, kind),
                              executable=executable))
        failed = [f"{result['name']}: {result['detail']}"
                  for result in json.loads(out)["checks"]
                  if result["status"] == "failed"]
        expect(not failed, "\n".join(failed))
    return check


def run_inside_venv(request):
    """Return the results of the checks that the Python of a venv runs."""
    base = Check("layout:base_prefix", lambda request: expect(
        os.path.realpath(sys.base_prefix) == os.path.realpath(request.prefix),
        f"sys.base_prefix is {sys.base_prefix}"))
    imports = [Check(f"import:{name}", promised_import(name))
               for name in ("_ssl", "_sqlite3", "zlib", "_ctypes")
               if name in request.modules]
    return [check.run(request)
            for check in [base, *layout_checks(request), *imports]]
