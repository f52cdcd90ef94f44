"""The JSON files that CPython has had since 3.14."""

import json
import os
import sys

from .check import expect


def descriptions(beginning):
    """Return the JSON files of the standard library's directory with such a name.

    CPython has written them since 3.14. The result maps paths to contents.
    """
    directory = os.path.dirname(os.__file__)
    names = [name for name in os.listdir(directory)
             if name.startswith(beginning) and name.endswith(".json")]
    expect(names or sys.version_info < (3, 14), f"there is no {beginning}*.json")
    found = {}
    for name in names:
        path = os.path.join(directory, name)
        with open(path, encoding="utf-8") as file:
            found[path] = json.load(file)
    return found


def build_details(request):
    """A reader of the file (PEP 739) finds this tree, wherever it is."""
    for path, details in descriptions("build-details").items():
        absolute = [text for text in strings(details) if os.path.isabs(text)]
        expect(not absolute, f"{path} has absolute paths: {absolute}")
        base = os.path.join(os.path.dirname(path), details["base_prefix"])
        expect(os.path.realpath(base) == os.path.realpath(request.prefix),
               f"base_prefix of {path} is {base}")
        wanted = [details["base_interpreter"], *details.get("c_api", {}).values(),
                  *(value for value in details.get("libpython", {}).values()
                    if isinstance(value, str))]
        expect("c_api" in details or not request.builder, f"{path} names no headers")
        named = details.get("libpython", {})
        expect(("static" in named) == request.static_library
               and ("dynamic" in named) == request.shared, f"{path} says {named}")
        missing = [name for name in wanted
                   if not os.path.exists(os.path.join(base, name))]
        expect(not missing, f"{path} names what is not there: {missing}")


def strings(value):
    """Return all strings in a JSON value."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return ([text for part in parts for text in strings(part)]
            if isinstance(value, (dict, list)) else [])


def sysconfig_vars_json(request):
    """The file has the same values as _sysconfigdata; neither changes in a move."""
    import importlib
    import sysconfig
    found = descriptions("_sysconfig_vars")
    if not found:
        return
    data = importlib.import_module(sysconfig._get_sysconfigdata_name())
    for path, values in found.items():
        stray = [f"{name} mentions {text}" for name, value in values.items()
                 for text in request.forbidden
                 if isinstance(value, str) and text in value]
        expect(not stray, f"{path}: {stray}")
        expect(values["prefix"] == request.compiled_prefix,
               f"prefix in {path} is {values['prefix']!r}")
        differ = [name for name, value in data.build_time_vars.items()
                  if values.get(name) != value]
        # One has the source directory of the build, the other that of the installation.
        expect(set(differ) <= {"srcdir"}, f"{path} differs in {differ}")
