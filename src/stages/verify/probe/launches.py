"""The standard library is found however the interpreter is started."""

import os
import sys

from .check import Check, Skip, expect
from .commands import how_it_ended, printable, python, run

# Where an interpreter finds its parts, one path a line.
WHERE = "import os, sys; print(sys.base_prefix, sys.base_exec_prefix, os.__file__, sep='\\n')"


def launch_checks(_request):
    return [
        Check("launch:link", through_link),
        Check("launch:linked-directory", through_linked_directory),
        Check("launch:link-venv", venv_of(link, [])),
        Check("launch:link-venv-copies", venv_of(link, ["--copies"])),
        Check("launch:renamed-link-venv-copies", venv_of(renamed_link, ["--copies"])),
        Check("launch:linked-directory-venv-copies",
              venv_of(link_in_linked_directory, ["--copies"])),
        Check("launch:device", named("/dev/null")),
        Check("launch:no-path", named("python-that-is-not-on-PATH")),
    ]


def expect_own(request, argv, program=None):
    """Fail unless an interpreter finds this tree, without a complaint."""
    done = run(argv + ["-c", WHERE], executable=program,
               cwd=request.scratch_dir("elsewhere"))
    expect(done.returncode == 0 and not done.stderr,
           f"{printable(argv)}: {how_it_ended(done)}")
    wanted = os.path.realpath(request.prefix)
    found = [os.path.realpath(line) for line in done.stdout.splitlines()]
    expect(found[:2] == [wanted] * 2 and found[2].startswith(wanted + "/"),
           f"{printable(argv)} finds {found}, not {wanted}")


def link(request):
    """Return a link to the interpreter in a directory that holds nothing else."""
    path = os.path.join(request.scratch_dir("links"), "python")
    if not os.path.lexists(path):
        os.symlink(os.path.realpath(sys.executable), path)
    return path


def renamed_link(request):
    """Return a link to the interpreter whose name the tree does not have."""
    path = os.path.join(request.scratch_dir("links"), "py")
    if not os.path.lexists(path):
        os.symlink(os.path.realpath(sys.executable), path)
    return path


def link_in_linked_directory(request):
    """Return the interpreter's path by a link to its directory."""
    path = request.scratch_path("linked-directory")
    if not os.path.lexists(path):
        os.symlink(os.path.dirname(os.path.realpath(sys.executable)), path)
    return os.path.join(path, "python3")


def through_link(request):
    expect_own(request, python(executable=link(request)))


def through_linked_directory(request):
    expect_proc()
    expect_own(request, python(executable=link_in_linked_directory(request)))


def venv_of(launched, options):
    """An environment made by an interpreter that is started through a link finds the tree."""
    def check(request):
        if launched is not link:
            expect_proc()
        target = request.scratch_path("-".join(["venv-of", launched.__name__, *options]))
        done = run(python("-m", "venv", "--without-pip", *options, target,
                          executable=launched(request)))
        expect(done.returncode == 0, how_it_ended(done))
        expect_own(request, python(executable=os.path.join(target, "bin", "python")))
    return check


def named(name):
    """argv[0] is no path to the interpreter."""
    def check(request):
        expect_proc()
        expect_own(request, python(executable=name), os.path.realpath(sys.executable))
    return check


def expect_proc():
    """Skip unless the kernel says which program runs."""
    if not os.path.exists("/proc/self/exe"):
        raise Skip("this root has no /proc")
