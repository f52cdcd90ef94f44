"""The Pythons that are compared: pykeel's, and others' from the same source."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from common import RELEASE, STORE, artifact, output, pykeel, unpacked_source

OLD_RELEASE = "3.11.2"
CACHE = Path(os.environ.get("PYKEEL_BENCH_CACHE") or STORE.parent / "pykeel-bench")

FLAGS = {
    "docker-library": ["--enable-loadable-sqlite-extensions", "--enable-optimizations", "--enable-shared",
                       "--with-lto", "--with-ensurepip"],
    "python-build": ["--enable-shared", "--with-ensurepip"],
}
# The same configure, and what the Dockerfile of docker-library gives make as well: Debian's flags (-O2, stack
# protector) and frame pointers. All of that makes it slower, so leaving it out, as above, is to its advantage.
FLAGS["docker-library-image"] = FLAGS["docker-library"]


def given_to_make(name):
    """The variables of make that the other project sets, and the beginning of one more, LDFLAGS."""
    if name != "docker-library-image":
        return [], ""
    flags = output("dpkg-buildflags", "--get", "CFLAGS") or sys.exit("dpkg-buildflags is not installed: apt-get install dpkg-dev")
    compiler = f"EXTRA_CFLAGS={flags} -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer"
    return [compiler], f"{output('dpkg-buildflags', '--get', 'LDFLAGS')} -Wl,--strip-all "


def run(directory, log, *command, **variables):
    """Run a step of a build. Its log is kept if it fails."""
    # A profile is trained with tests that send themselves SIGINT: a shell's background job ignores it.
    done = subprocess.run(command, cwd=directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **variables},
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed in {directory}: see {log.name}")


def by_hand(place, configure, make=(), install=(), **variables):
    """Run configure, make and make install in a fresh tree, as a Dockerfile does, and return the seconds of each."""
    source = unpacked_source(place)
    took = {}
    with (place / "log").open("w") as log:
        for name, command in {
            "configure": ["./configure", f"--prefix={place}/prefix", *configure],
            "make": ["make", f"-j{os.cpu_count()}", *make],
            "install": ["make", "install", *install],
        }.items():
            start = time.monotonic()
            run(source, log, *command, **variables)
            took[name] = time.monotonic() - start
    return took


def built(name, release=RELEASE):
    """The tree that is built with the flags of another project. It is built once and kept."""
    flags = FLAGS[name]
    key = hashlib.sha256("\n".join([release, *flags, output("cc", "--version")]).encode()).hexdigest()[:12]
    tree = CACHE / f"{name}-{release}-{key}"
    if tree.exists():
        return tree
    artifact(release=release)  # The source is in the store now.
    place = CACHE / f"{tree.name}.build"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    print(f"Building {tree.name} ({' '.join(flags)})", file=sys.stderr)
    with (CACHE / f"{tree.name}.log").open("w") as log:
        source = unpacked_source(place, release)
        run(source, log, "./configure", f"--prefix={tree}", *flags)
        variables, linker = given_to_make(name)
        run(source, log, "make", f"-j{os.cpu_count()}", *variables, *([f"LDFLAGS={linker}"] if linker else []))
        # As docker-library does: the interpreter finds its own libpython wherever the tree is.
        (source / "python").unlink()
        run(source, log, "make", *variables, f"LDFLAGS={linker}-Wl,-rpath='$$ORIGIN/../lib'", "python")
        run(source, log, "make", "install", f"DESTDIR={place}/staged")
    (place / "staged" / tree.relative_to("/")).rename(tree)
    shutil.rmtree(place)
    return tree


def installed(prefix, release, *options):
    """A tree that pykeel builds and installs."""
    artifact(*options, release=release)
    pykeel("install", release, *options, "--no-build", "--prefix", prefix)
    return Path(prefix)


def interpreter(tree, release=RELEASE):
    return tree / "bin" / f"python{release.rpartition('.')[0]}"


def of_the_system(release):
    """The distribution's own interpreter of a release."""
    python = Path(f"/usr/bin/python{release.rpartition('.')[0]}")
    if release not in output(python, "--version").split():
        sys.exit(f"{python} is not {release}: install it, on a distribution that has it")
    return python
