"""Terminals are known, also where the system has no terminfo database."""

from .check import Skip, expect
from .commands import how_it_ended, python, run

# Terminals of the tree, of which curses tells the number of colours.
COLOURS = {"xterm": 8, "xterm-256color": 256, "screen": 8, "tmux-256color": 256, "linux": 8}

# The program that takes this one's place sees whether a variable is left behind.
SETUP = """
import curses, os, sys
curses.setupterm(sys.argv[1], 1)
print(curses.tigetnum("colors"), flush=True)
left = "import os; print([name for name in os.environ if name.startswith('TERMINFO')])"
os.execv(sys.executable, [sys.executable, "-I", "-c", left])
"""


def expect_known(request, terminal, done):
    """Fail unless a terminal was known, or skip if neither system nor tree has it."""
    own = f"share/terminfo/{terminal[0]}/{terminal}"
    is_quiet = done.returncode == 0 and not done.stderr
    if not is_quiet and own not in request.loaded:
        raise Skip(f"neither this system nor the tree has a terminfo entry for {terminal}")
    expect(is_quiet, f"{terminal}: {how_it_ended(done)}")


def curses_terminfo(request):
    for terminal, colours in COLOURS.items():
        done = run(python("-c", SETUP, terminal))
        expect_known(request, terminal, done)
        expect(done.stdout == f"{colours}\n[]\n", f"{terminal}: {done.stdout!r}")


def readline_quiet(request):
    """The line editor starts without a word."""
    for terminal in ("xterm", "dumb", "vt100"):
        done = run(python("-c", "import readline"), env={"TERM": terminal})
        expect_known(request, terminal, done)
        expect(not done.stdout, f"{terminal}: {done.stdout!r}")
