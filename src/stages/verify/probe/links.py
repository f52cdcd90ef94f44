"""Ways to start the interpreter that do not lead to its tree by a path."""

import os
import subprocess
import sys

from .check import Check, expect
from .commands import python, run_well

SAY_PREFIX = "import os, sys; print(sys.base_prefix); print(os.__file__)"


def link_checks(_request):
    """Return the checks of links and names. Up to 3.10 the path is searched in C, as upstream does it."""
    if sys.version_info < (3, 11):
        return []
    return [
        Check("link:elsewhere", link_elsewhere),
        Check("link:venv", venv_through_link),
        Check("name:/dev/null", started_as("/dev/null")),
        Check("name:not-on-path", started_as("no-such-python")),
    ]


def expect_tree(out, request):
    """Fail unless the output of SAY_PREFIX names this tree."""
    prefix, library = out.splitlines()
    tree = os.path.realpath(request.prefix)
    expect(os.path.realpath(prefix) == tree, f"sys.base_prefix is {prefix}, not {tree}")
    expect(os.path.realpath(library).startswith(tree + os.sep), f"the library is at {library}")


def link_to_interpreter(request, name):
    """Return a link to the interpreter in a directory of its own."""
    link = os.path.join(request.scratch_dir(name), os.path.basename(sys.executable))
    os.symlink(os.path.realpath(sys.executable), link)
    return link


def link_elsewhere(request):
    link = link_to_interpreter(request, "link")
    expect_tree(run_well(python("-c", SAY_PREFIX, executable=link)), request)


def venv_through_link(request):
    link = link_to_interpreter(request, "link-venv")
    venv = request.scratch_path("venv-through-link")
    run_well(python("-m", "venv", "--without-pip", venv, executable=link))
    inside = os.path.join(venv, "bin", "python")
    expect_tree(run_well(python("-c", SAY_PREFIX, executable=inside)), request)


def started_as(name):
    """Return a check that starts the interpreter with another argv[0]."""
    def check(request):
        done = subprocess.run([name, "-I", "-B", "-c", SAY_PREFIX],
                              executable=os.path.realpath(sys.executable),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True, check=False)
        expect(done.returncode == 0, done.stderr.strip())
        expect_tree(done.stdout, request)
    return check
