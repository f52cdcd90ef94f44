"""Where the virtual environments of the checks are."""

import os

from .check import expect


def venv_path(request, kind, *names):
    """Return a path in the venv of a kind."""
    # A blank and a non-ASCII letter: a script that forgets to quote breaks.
    return request.scratch_path(f"venv {kind} é", *names)


def venv_executable(request, kind):
    """Return the Python of a venv, which must exist."""
    path = venv_path(request, kind, "bin", "python")
    expect(os.path.exists(path), "the venv was not made")
    return path
