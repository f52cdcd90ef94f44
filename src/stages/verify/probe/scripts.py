"""The scripts in bin run, by their own name and by a link."""

import os

from .check import Check, Skip, expect
from .commands import run_well
from .paths import other_files


def script_checks(request):
    """Return a check for each of the artifact's files in bin that names an interpreter."""
    directory = os.path.join(request.prefix, "bin")
    return [Check(f"script:{name}", script_runs(name))
            for name in sorted(request.scripts)
            if shebang(os.path.join(directory, name)) is not None]


def shebang(path):
    """Return the first line of a script without `#!`, or None."""
    if os.path.islink(path) or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        line = file.readline(4096)
    return os.fsdecode(line[2:].strip()) if line.startswith(b"#!") else None


def script_runs(name):
    """It runs by its own name, and by a link from elsewhere."""
    def check(request):
        script = os.path.join(request.prefix, "bin", name)
        first = shebang(script)
        stray = other_files(first, request)
        expect(not stray, f"#!{first} ({', '.join(stray)})")
        interpreter = first.split()[0]
        if not os.path.exists(interpreter):
            expect(interpreter in ("/bin/sh", "/usr/bin/env"),
                   f"its interpreter {interpreter} does not exist")
            raise Skip(f"this root has no {interpreter}")
        link = os.path.join(request.scratch_dir("links"), name)
        os.symlink(script, link)
        for path in (script, link):
            run_well([path, *script_arguments(name)])
    return check


def script_arguments(name):
    """Return arguments with which a script prints something and exits."""
    if name.endswith("-config"):
        return ["--prefix"]
    if name.startswith("pydoc"):
        return []
    return ["--version"] if name.startswith("pip") else ["-h"]
