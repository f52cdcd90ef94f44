"""Where paths lead, and what a value should not mention."""

import os

from .check import expect


def inside(path, roots):
    """Return whether a path, as written or resolved, is in one of the directories."""
    def within(path, root):
        return path == root or path.startswith(root.rstrip("/") + "/")
    path = os.path.normpath(path)
    real = os.path.realpath(path)
    return any(within(path, root) or within(real, os.path.realpath(root))
               for root in roots)


def expect_inside(named_paths, roots):
    """Fail unless all paths, each with a name, are in one of the directories."""
    stray = [f"{name} = {path!r}" for name, path in named_paths
             if not (isinstance(path, str) and path.startswith("/")
                     and inside(path, roots))]
    expect(not stray, f"not in {' or '.join(roots)}: " + "; ".join(stray))
    return ""


def other_files(value, request):
    """Return what a value mentions although it should not."""
    import re
    # The path of the tree may contain the other two: a staging directory ends
    # with the compiled prefix, and may be next to the build.
    for root in sorted(request.roots(), key=len, reverse=True):
        value = value.replace(root, "")
    found = [f"mentions {text}" for text in request.forbidden if text in value]
    whole_path = re.escape(request.compiled_prefix) + r"(?![\w.+~-])"
    if request.prefix != request.compiled_prefix and re.search(whole_path, value):
        found.append("mentions the compiled prefix")
    return found


def has_blank(path):
    return len(path.split()) > 1
