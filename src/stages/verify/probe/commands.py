"""Running commands."""

import os
import sys

from .check import CHECK_SECONDS, Failure


def run(argv, seconds=CHECK_SECONDS - 5, env=None, **options):
    """Run a command without input; return a subprocess.CompletedProcess.

    Further options are those of subprocess.run: executable is what runs where
    the first word is not its path.
    """
    import subprocess
    options = dict({"encoding": "utf-8", "errors": "replace"}, **options)
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=seconds,
        env=dict(os.environ, **(env or {})), **options)


def run_well(argv, **options):
    """Run a command that must succeed; return its standard output."""
    done = run(argv, **options)
    if done.returncode != 0:
        raise Failure(f"{printable(argv)}: {how_it_ended(done)}")
    return done.stdout


def how_it_ended(done, lines=15):
    """Return the exit code and the last lines of output."""
    code = (f"exit code {done.returncode}" if done.returncode >= 0
            else f"signal {-done.returncode}")
    said = (done.stdout + done.stderr).strip().splitlines()[-lines:]
    return "\n".join([code] + said)


def printable(argv):
    """Return a command line as a shell would take it."""
    import shlex
    return " ".join(shlex.quote(os.fsdecode(word)) for word in argv)


def python(*arguments, executable=None):
    """Return the command line of an isolated Python that writes no bytecode."""
    return [executable or sys.executable, "-I", "-B", *arguments]
