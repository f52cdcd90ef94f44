"""pip builds and installs a C extension, without an index."""

import os

from .check import PACKAGE, PIP_SECONDS, Check, Skip, expect
from .commands import python, run_well
from .paths import inside
from .venv_paths import venv_executable, venv_path

PROJECT_FILES = ("PKG-INFO", "pyproject.toml", "backend.py", "pykeel_probe.c")


def pip_checks(request):
    checks = [Check("pip:script", pip_script, PIP_SECONDS)]
    if request.compiler:
        checks += [Check("pip:build-extension", pip_build_extension, PIP_SECONDS),
                   Check("pip:import-extension", pip_import_extension)]
    return checks


def pip_script(request):
    """The script runs, although the path of its interpreter contains a blank."""
    if not os.path.exists("/bin/sh"):
        raise Skip("this root has no /bin/sh")
    script = os.path.join(os.path.dirname(venv_executable(request, "default")), "pip")
    return run_well([script, "--version"]).strip()


def write_sdist(request):
    """Pack the project beside this file as a source distribution; return the path."""
    import tarfile
    path = request.scratch_path("pykeel_probe-1.0.tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for name in PROJECT_FILES:
            archive.add(os.path.join(PACKAGE, "project", name), f"pykeel_probe-1.0/{name}")
    return path


def pip_build_extension(request):
    """Build and install a source distribution with a C extension, offline."""
    executable = venv_executable(request, "default")
    run_well(python("-m", "pip", "install", "--no-index", "--no-cache-dir",
                    write_sdist(request), executable=executable),
             seconds=PIP_SECONDS - 5)


def pip_import_extension(request):
    code = "import pykeel_probe as m; print(m.answer(), m.__file__)"
    out = run_well(python("-c", code, executable=venv_executable(request, "default")))
    answer, path = out.rstrip("\n").split(" ", 1)
    expect(answer == "42", f"the answer is {answer}")
    expect(inside(path, [venv_path(request, "default")]), f"loaded from {path}")
