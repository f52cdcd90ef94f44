"""The script python3.X-config and what it prints."""

import os
import sys

from .check import Check, Skip, expect
from .commands import run_well
from .paths import expect_inside, has_blank, other_files


def config_checks(request):
    """python3.X-config and what it says, for the flavor that has headers."""
    if not request.builder:
        return []
    checks = [Check("python-config:paths", python_config_paths)]
    if request.compiler:
        checks.append(Check("python-config:compile", python_config_compile))
    return checks


def python_config(request, *options):
    """Run the script; return what it prints."""
    if not os.path.exists("/bin/sh"):
        raise Skip("this root has no /bin/sh")
    version = "{}.{}".format(*sys.version_info[:2])
    script = os.path.join(request.prefix, "bin",
                          f"python{version}{sys.abiflags}-config")
    return run_well([script, *options]).strip()


def python_config_paths(request):
    import shlex
    for option in ("--prefix", "--exec-prefix", "--configdir"):
        expect_inside([(option, python_config(request, option))], [request.prefix])
    for option in ("--includes", "--ldflags"):
        out = python_config(request, option)
        stray = other_files(out, request)
        expect(not stray, f"{option}: {out} ({', '.join(stray)})")
        if has_blank(request.prefix):
            # The script cannot quote, so only check that the prefix is right.
            expect(request.prefix in out, f"{option}: {out}")
        else:
            paths = [(word[:2], word[2:]) for word in shlex.split(out)
                     if word[:2] in ("-I", "-L")]
            expect(paths, f"{option} names no directory: {out}")
            expect_inside(paths, [request.prefix])


def python_config_compile(request):
    """Compile and run a program that needs the headers but no library."""
    import shlex
    import sysconfig
    if has_blank(request.prefix):
        includes = [f"-I{sysconfig.get_path('include')}"]
    else:
        includes = shlex.split(python_config(request, "--includes"))
    directory = request.scratch_dir("compile")
    source, program = os.path.join(directory, "p.c"), os.path.join(directory, "p")
    with open(source, "w", encoding="ascii") as file:
        file.write('#include <Python.h>\n'
                   'int main(void) { printf("%x\\n", PY_VERSION_HEX); return 0; }\n')
    # Without optimisation, the unused inline functions of the headers would need
    # a library.
    run_well([*shlex.split(sysconfig.get_config_var("CC")), "-O1", *includes,
              source, "-o", program])
    out = run_well([program])
    expect(int(out, 16) == sys.hexversion, f"the headers are of {out.strip()}")
