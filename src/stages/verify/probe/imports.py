"""Every module of the standard library can be imported."""

import os
import sys

from .check import Check, expect
from .paths import inside


# Modules that open a browser or print a poem, or that are installed here
# although they are for another platform.
NOT_IMPORTED = {"antigravity", "this", "_ios_support", "msilib", "test"}


def import_checks(request):
    """Import the extension modules that the recipe promises, and the built-in ones."""
    return ([Check(f"import:{name}", promised_import(name))
             for name in request.modules] +
            [Check(f"builtin:{name}", plain_import(name))
             for name in sys.builtin_module_names])


def promised_import(name):
    def check(request):
        import importlib
        module = importlib.import_module(name)
        # Not the module of another Python that is on the path by accident.
        origin = getattr(module.__spec__, "origin", None) or "built-in"
        expect(origin in ("built-in", "frozen")
               or inside(origin, request.roots()), f"loaded from {origin}")
    return check


def plain_import(name):
    def check(_request):
        import importlib
        importlib.import_module(name)
    return check


def stdlib_checks(request):
    """Import every other module of the standard library that the tree ships."""
    import importlib.util

    def shipped(name):
        try:
            return importlib.util.find_spec(name) is not None
        except Exception:  # it is there but broken
            return True

    known = NOT_IMPORTED.union(request.modules, sys.builtin_module_names)
    return [Check(f"stdlib:{name}", plain_import(name))
            for name in sorted(stdlib_names() - known) if shipped(name)]


def stdlib_names():
    """Return the names of the modules of the standard library."""
    names = getattr(sys, "stdlib_module_names", None)
    if names is not None:
        return set(names)
    # Python 3.9 has no such list, so list the directories.
    import pkgutil
    directory = os.path.dirname(os.__file__)
    places = [directory, os.path.join(directory, "lib-dynload")]
    return {module.name for module in pkgutil.iter_modules(places)}
