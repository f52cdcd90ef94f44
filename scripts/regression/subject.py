"""pykeel's side: the two artifacts of one build, and the extension modules for tests."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from .common import PATH, PROCESSORS, Failure, digest_of, fresh, keep_only, run, say, sha256

# Part of the cache's keys: another number invalidates the cached extension modules.
SUBJECT_FORMAT = 1


class Subject:
    """The two artifacts and the test extension modules of one build."""

    def __init__(self, program, source, cache):
        self.program = program
        self.source = source
        self.cache = cache
        self.store = cache / "store"
        self.built = {}

    def prepare(self, artifacts):
        kept = self.build()
        extensions = self.extensions()
        wrong = [path for path in artifacts if sha256(path) not in self.digests()]
        if kept is None and (wrong or not extensions.is_dir()):
            # The store has artifacts of an earlier pykeel, or of an interrupted run.
            shutil.rmtree(self.store)
            kept = self.build()
            extensions = self.extensions()
            wrong = [path for path in artifacts if sha256(path) not in self.digests()]
        if kept is not None:
            self.make_extensions(kept, extensions)
            shutil.rmtree(kept)
        keep_only(extensions)
        if wrong:
            raise Failure(
                f"a build of the same plan did not give the same bytes as {wrong[0]}: "
                "the tests would not be about that artifact"
            )

    def pykeel(self, words):
        # Without the variables of the user that pykeel reads.
        heeded = {"CC", "CFLAGS", "CPPFLAGS", "LDFLAGS"}
        environment = {
            name: value for name, value in os.environ.items() if name not in heeded and not name.startswith("PYKEEL_")
        }
        words = [self.program, *words]
        ended = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
        if ended.returncode:
            raise Failure(f"`{' '.join(map(str, words))}` exited with {ended.returncode}:\n{ended.stderr}")
        return ended

    def digests(self):
        return {artifact["digest"] for artifact in self.built.values()}

    def extensions(self):
        return self.cache / "extensions" / digest_of(SUBJECT_FORMAT, sorted(self.digests()))

    def build(self):
        """Build both flavors unless the store has them, and return the build directory, if any."""
        say("pykeel's build")
        words = ["build", self.source.version, "--flavor", "all", "--json", "--offline"]
        words += ["--store", self.store, "--mirror", self.source.mirror, "--keep-build"]
        ended = self.pykeel(words)
        self.built = {}
        for artifact in json.loads(ended.stdout):
            artifact["manifest"] = json.loads(Path(artifact["manifest"]).read_text())
            self.built[artifact["manifest"]["plan"]["request"]["flavor"]] = artifact
        kept = re.search(r"the build stays in (.+)", ended.stderr)
        return Path(kept[1]) if kept else None

    @property
    def manifest(self):
        return self.built["runtime"]["manifest"]

    def make_extensions(self, build, target):
        """Make the extension modules that --disable-test-modules left out, in the build tree.

        configure commented these modules out of Modules/Setup.stdlib, and pykeel disabled them by
        name in Modules/Setup.local. The Makefile is written anew with them in Setup.local, and
        then asked for their files alone, so that nothing else is built again.
        """
        say("the test extension modules of that build")
        tree = build / "source"
        commented = (tree / "Modules/Setup.stdlib").read_text().partition("# Test modules")[2]
        lines = re.findall(r"^#(\w+ \S+\.c.*)$", commented, re.MULTILINE)
        names = [line.split()[0] for line in lines]
        if not names:
            raise Failure("Modules/Setup.stdlib lists no test modules")
        disabled = [name for name in self.manifest["plan"]["disabled"] if name not in names]
        setup = ["*shared*", *lines, "*disabled*", *disabled, ""]
        (tree / "Modules/Setup.local").write_text("\n".join(setup))

        link = self.manifest["plan"]["module_link"].replace("{flags}", f"@{build / 'module-link.rsp'}")
        make = ["make", "-C", tree, f"-j{PROCESSORS}", link]
        environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
        log = fresh(target.parent / "making") / "log"
        run([*make, "Makefile"], log, env=environment)
        suffix = re.search(r"^EXT_SUFFIX=\s*(\S+)", (tree / "Makefile").read_text(), re.MULTILINE)[1]
        files = [f"Modules/{name}{suffix}" for name in names]
        run([*make, *files], log, env=environment)
        for file in files:
            shutil.copy2(tree / file, log.parent)
        fresh(target).rmdir()
        log.parent.rename(target)

    def install(self, run, place):
        """Install an artifact, add Lib/test, and return the prefix and the PYTHONPATH."""
        prefix = place / "python"
        words = ["install", f"sha256:{self.built[run.flavor]['digest']}", "--no-build"]
        self.pykeel([*words, "--store", self.store, "--prefix", prefix])
        self.source.extract(prefix / f"lib/python{self.source.series}/test", "Lib", "test")
        library = prefix / f"lib/python{self.source.series}"
        for what in run.completed:
            if what == "extensions":
                for file in self.extensions().glob("*.so"):
                    shutil.copy(file, library / "lib-dynload")
            else:
                self.source.extract(library / what, "Lib", what)
        return prefix, None if "extensions" in run.completed else self.extensions()
