"""The request: what the caller says about the tree."""

import json
import os


class Request:
    """The content of REQUEST.json."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
        self.path = os.path.abspath(path)
        self.prefix = os.path.normpath(fields["prefix"])
        self.compiled_prefix = os.path.normpath(fields["compiled_prefix"])
        self.modules = fields.get("modules", [])
        # The artifact's own scripts in bin. Scripts that a user added are not run.
        self.scripts = fields.get("scripts", [])
        # The bundled files that libraries load or read by name, relative to the prefix.
        self.loaded = fields.get("loaded", [])
        # Whether it has the static library of libpython, and whether libpython is shared.
        self.static_library = bool(fields.get("static_library"))
        self.shared = bool(fields.get("shared"))
        self.builder = fields.get("flavor", "runtime") == "builder"
        self.scratch = os.path.abspath(fields["scratch"])
        self.tls_cert = fields.get("tls_cert")
        self.tls_key = fields.get("tls_key")
        self.compiler = bool(fields.get("compiler"))
        self.forbidden = [text for text in fields.get("forbidden", []) if text]
        # The venv that this process runs in, if any.
        self.venv = None

    def roots(self):
        """Return the directories in which this Python may find its parts."""
        return [self.prefix] + ([self.venv] if self.venv else [])

    def scratch_path(self, *names):
        return os.path.join(self.scratch, *names)

    def scratch_dir(self, *names):
        path = self.scratch_path(*names)
        os.makedirs(path, exist_ok=True)
        return path
