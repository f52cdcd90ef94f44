"""libpython: what sysconfig says of it is there, and programs that embed Python find it."""

import os
import sys

from .check import Check, Skip, expect
from .commands import run_well
from .paths import expect_inside, has_blank

# Runs the code of its second argument in a Python whose prefix is the first.
PROGRAM = """\
#include <Python.h>

int main(int argc, char **argv)
{
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    PyStatus status = PyConfig_SetBytesString(&config, &config.home, argv[1]);
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    if (argc != 3 || PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
    int failed = PyRun_SimpleString(argv[2]);
    return Py_FinalizeEx() < 0 || failed;
}
"""


def embedding_checks(request):
    """A program that embeds Python is linked with what the tree says, and runs."""
    if not (request.shared or request.static_library):
        return [Check("embed:not-promised", embedding_is_not_promised)]
    if not (request.builder and request.compiler):
        return []
    return [Check("embed:python-config", embed_by_python_config),
            Check("embed:pkg-config", embed_by_pkg_config)]


def embedding_is_not_promised(request):
    """Without a libpython, no pkg-config file says how to link one."""
    directory = os.path.join(request.prefix, "lib", "pkgconfig")
    files = os.listdir(directory) if os.path.isdir(directory) else []
    promises = [name for name in files if name.endswith("-embed.pc")]
    expect(not promises, f"there is no libpython, but {', '.join(promises)}")


def libpython_values(request):
    """sysconfig names the libraries that are there, and no others."""
    import sysconfig
    values = sysconfig.get_config_vars()
    directories = {"LIBPL": values["LIBPL"], "LIBDIR": values["LIBDIR"]}
    wrong = []
    if bool(values["Py_ENABLE_SHARED"]) != request.shared:
        wrong.append(f"Py_ENABLE_SHARED is {values['Py_ENABLE_SHARED']}")
    # 3.9 does not have this one.
    static = values.get("STATIC_LIBPYTHON", int(request.static_library))
    if bool(static) != request.static_library:
        wrong.append(f"STATIC_LIBPYTHON is {static}")
    promised = {"LIBRARY": (request.static_library, ("LIBPL", "LIBDIR")),
                "LDLIBRARY": (request.shared or request.static_library, ("LIBDIR",)),
                "INSTSONAME": (request.shared or request.static_library, ("LIBDIR",))}
    for name, (is_wanted, places) in promised.items():
        if not is_wanted:
            wrong += [f"{name} is {values[name]!r}"] if values[name] else []
            continue
        paths = [os.path.join(directories[place], values[name]) for place in places]
        wrong += [f"{name} is {values[name]!r}, but there is no {path}"
                  for path in paths if not os.path.isfile(path)]
    if values["LIBPL"] and not os.path.isdir(values["LIBPL"]):
        wrong.append(f"LIBPL is {values['LIBPL']!r}, which is not there")
    expect(not wrong, "; ".join(wrong))


def libpython_loaded(request):
    """A shared libpython is the tree's or the venv's own, and there is no other."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            paths = {line.rstrip("\n").split(None, 5)[-1] for line in file}
    except OSError:
        raise Skip("this root has no /proc")
    loaded = [("libpython", path) for path in sorted(paths)
              if os.path.basename(path).startswith("libpython")]
    expect(bool(loaded) == request.shared, f"loaded: {loaded}")
    return expect_inside(loaded, request.roots())


def embed_by_python_config(request):
    import shlex
    if has_blank(request.prefix):
        raise Skip("python-config cannot quote a path with a blank")
    version = "{}.{}".format(*sys.version_info[:2])
    script = os.path.join(request.prefix, "bin", f"python{version}{sys.abiflags}-config")
    flags = [shlex.split(run_well([script, "--embed", option]))
             for option in ("--cflags", "--ldflags")]
    embed(request, "config", *flags)


def embed_by_pkg_config(request):
    import shlex
    import shutil
    if not shutil.which("pkg-config"):
        raise Skip("`pkg-config` is not installed")
    version = "{}.{}".format(*sys.version_info[:2])
    directory = os.path.join(request.prefix, "lib", "pkgconfig")
    flags = [shlex.split(run_well(
        ["pkg-config", option, f"python-{version}{sys.abiflags}-embed"],
        # It puts a backslash before each byte of a letter.
        errors="surrogateescape", env={"PKG_CONFIG_LIBDIR": directory})) for option in ("--cflags", "--libs")]
    embed(request, "pkg-config", *flags)


def embed(request, name, cflags, ldflags):
    """Compile, link and run the program, which imports extension modules."""
    if any(ord(letter) > 127 for letter in request.prefix):
        raise Skip("the program takes the path of the tree in the C locale")
    import shlex
    import sysconfig
    directory = request.scratch_dir(f"embed-{name}")
    source, program = os.path.join(directory, "embed.c"), os.path.join(directory, "embed")
    with open(source, "w", encoding="ascii") as file:
        file.write(PROGRAM)
    run_well([*shlex.split(sysconfig.get_config_var("CC")), *cflags, source, "-o", program,
              *ldflags])
    modules = [module for module in ("math", "_ssl", "_ctypes", "_decimal", "_json")
               if module in request.modules]
    # In the C locale the program cannot print every letter of the path.
    code = (f"import os, sys, {', '.join(modules or ['math'])}; "
            "print(sys.hexversion, os.fsencode(sys.prefix).hex())")
    version, prefix = run_well([program, request.prefix, code]).split()
    prefix = os.fsdecode(bytes.fromhex(prefix))
    expect(int(version) == sys.hexversion, f"it embeds {version}")
    expect_inside([("sys.prefix", prefix)], [request.prefix])
