"""The source archive of CPython."""

import re
import tarfile
from pathlib import Path

from .common import Failure, fresh, run, sha256


class Source:
    def __init__(self, archive, cache):
        self.sum = sha256(archive)
        with tarfile.open(archive) as tar:
            top = tar.next().name.split("/")[0]
        matched = re.fullmatch(r"Python-(\d+\.\d+)(\.\d+\w*)", top)
        if not matched:
            raise Failure(f"{archive} is no source archive of CPython: its top directory is `{top}`")
        self.top = top
        self.series = matched[1]
        self.version = matched[1] + matched[2]
        # A mirror for pykeel: a directory that has the archive under its own name.
        self.mirror = fresh(cache / "mirror")
        with open(archive, "rb") as file:
            kind = "tgz" if file.read(2) == b"\x1f\x8b" else "tar.xz"
        self.archive = self.mirror / f"{top}.{kind}"
        self.archive.symlink_to(Path(archive).resolve())

    def extract(self, into, *parts):
        """Unpack a directory of the tree, or all of it, into a new directory."""
        into.mkdir()
        words = ["tar", "-xf", self.archive, "-C", into, "--no-same-owner"]
        words += [f"--strip-components={1 + len(parts)}", "/".join([self.top, *parts])]
        run(words, self.mirror / "tar.log")


def interpreter(prefix, source):
    return prefix / f"bin/python{source.series}"
