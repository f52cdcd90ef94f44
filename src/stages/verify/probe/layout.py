"""The interpreter and sysconfig find everything in the tree, wherever it is."""

import os
import sys

from .build_details import build_details, sysconfig_vars_json
from .check import Check, expect
from .libpython import libpython_loaded, libpython_values
from .paths import expect_inside, other_files


def layout_checks(_request):
    """Check the tree; each venv that is made from it is checked in the same way."""
    return [
        Check("layout:prefix", layout_prefix),
        Check("layout:sys.path", layout_sys_path),
        Check("sysconfig:paths", sysconfig_paths),
        Check("sysconfig:directories", sysconfig_directories),
        Check("sysconfig:values", sysconfig_values),
        Check("sysconfig:libpython", libpython_values),
        Check("libpython:loaded", libpython_loaded),
        Check("sysconfig:data", sysconfig_data),
        Check("sysconfig:files", sysconfig_files),
        Check("sysconfig:build-details", build_details),
        Check("sysconfig:vars-json", sysconfig_vars_json),
    ]


def layout_prefix(request):
    own = [request.venv or request.prefix]
    expect_inside([("sys.prefix", sys.prefix),
                   ("sys.exec_prefix", sys.exec_prefix),
                   ("sys.executable", sys.executable)], own)
    expect_inside([("sys.base_prefix", sys.base_prefix),
                   ("sys.base_exec_prefix", sys.base_exec_prefix),
                   ("os.__file__", os.__file__),
                   ("the real sys.executable", os.path.realpath(sys.executable))
                   ], [request.prefix] if not request.venv else request.roots())
    return sys.prefix


def layout_sys_path(request):
    return expect_inside([("entry", entry) for entry in sys.path],
                         request.roots())


def sysconfig_paths(request):
    import sysconfig
    return expect_inside(sysconfig.get_paths().items(), request.roots())


def sysconfig_directories(request):
    import sysconfig
    names = ["prefix", "exec_prefix", "installed_base", "installed_platbase",
             "BINDIR", "LIBDIR", "LIBDEST", "BINLIBDEST", "DESTSHARED",
             "SCRIPTDIR", "INCLUDEDIR", "INCLUDEPY", "CONFINCLUDEPY"]
    values = sysconfig.get_config_vars()
    # Empty in a flavor without that directory.
    names += ["LIBPL"] if values["LIBPL"] else []
    return expect_inside([(name, values.get(name)) for name in names],
                         request.roots())


def sysconfig_values(request):
    """No value mentions where the tree was built."""
    import sysconfig
    values = sysconfig.get_config_vars()
    expect("CONFIG_ARGS" in values, "the values of the build are missing")
    stray = []
    for name, value in sorted(values.items()):
        if isinstance(value, str):
            stray += [f"{name} = {value!r} ({why})"
                      for why in other_files(value, request)]
    expect(not stray, "\n".join(stray))


def sysconfig_data(request):
    """The data file is unchanged by a move: other tools parse it."""
    import ast
    import importlib
    import sysconfig
    sysconfig.get_config_vars()
    module = importlib.import_module(sysconfig._get_sysconfigdata_name())
    with open(module.__file__, encoding="utf-8") as file:
        statements = ast.parse(file.read()).body
    assigned = {statement.targets[0].id: statement.value for statement
                in statements if isinstance(statement, ast.Assign)}
    literal = ast.literal_eval(assigned["build_time_vars"])
    expect(literal == module.build_time_vars,
           "reading sysconfig has changed build_time_vars")
    expect(literal["prefix"] == request.compiled_prefix,
           f"build_time_vars['prefix'] is {literal['prefix']!r}")


def sysconfig_files(request):
    import sysconfig
    paths = [sysconfig.get_makefile_filename(), sysconfig.get_config_h_filename()]
    expect_inside([("file", path) for path in paths], request.roots())
    if request.builder:
        missing = [path for path in paths if not os.path.isfile(path)]
        expect(not missing, f"missing: {missing}")
