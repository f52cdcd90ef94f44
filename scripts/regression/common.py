"""Shared helpers: failures, messages, digests, directories, programs."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROCESSORS = os.cpu_count() or 1


class Failure(Exception):
    """The comparison cannot be made."""


def squeezed(text):
    return " ".join(text.split())


def say(text):
    print(f"regression-tests: {text}", file=sys.stderr, flush=True)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest_of(*values):
    """Return a short digest of JSON values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def run(words, log, **more):
    """Run a program that must succeed; its output goes to a log."""
    with open(log, "ab") as output:
        code = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **more).returncode
    if code:
        tail = Path(log).read_text(errors="replace").splitlines()[-30:]
        raise Failure("\n".join([f"`{' '.join(map(str, words))}` exited with {code}; the end of {log}:", *tail]))


def tail_of(path):
    return "\n".join([f"the end of {path}:", *path.read_text(errors="replace").splitlines()[-30:]])


def fresh(directory):
    """Replace a directory with an empty one, and return it."""
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    return directory


def keep_only(directory):
    """Remove the entries of the cache beside this one."""
    for sibling in directory.parent.iterdir():
        if sibling != directory:
            shutil.rmtree(sibling)
