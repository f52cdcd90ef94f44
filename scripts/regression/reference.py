"""The untouched side: configure, make and make install of the same source."""

import shutil
import subprocess

from .common import PATH, PROCESSORS, Failure, digest_of, fresh, keep_only, run, say
from .source import interpreter

# Part of the cache's keys: another number invalidates the cached builds.
REFERENCE_FORMAT = 1
REFERENCE_OPTIONS = ["--with-ensurepip=install"]


class Reference:
    def __init__(self, source, subject, cache):
        self.source = source
        plan = subject.manifest["plan"]
        # The compiler and the libraries, but not the recipe, which does not affect this build.
        libraries = [[library["package"], library["version"]] for library in plan["libraries"]]
        key = digest_of(REFERENCE_FORMAT, source.sum, REFERENCE_OPTIONS, plan["toolchain"], sorted(libraries))
        self.root = cache / "untouched" / key
        self.prefix = self.root / "prefix"
        self.modules = subject.manifest["modules"]

    def prepare(self):
        done = self.root / "done"
        # The prefix is compiled in: a build in a cache that was moved is not a valid reference.
        if not done.exists() or done.read_text() != str(self.prefix):
            say("the untouched build")
            log = fresh(self.root) / "log"
            tree = self.root / "source"
            self.source.extract(tree)
            environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": str(tree)}
            options = [f"--prefix={self.prefix}", *REFERENCE_OPTIONS]
            run(["./configure", *options], log, cwd=tree, env=environment)
            run(["make", f"-j{PROCESSORS}"], log, cwd=tree, env=environment)
            run(["make", "install"], log, cwd=tree, env=environment)
            self.check()
            shutil.rmtree(tree)
            done.write_text(str(self.prefix))
        keep_only(self.root)

    def interpreter(self):
        return interpreter(self.prefix, self.source)

    def check(self):
        """Fail unless the build has the modules that pykeel's recipe requires."""
        script = (
            "import importlib, readline, sys\n"
            "for name in sys.argv[1:]: importlib.import_module(name)\n"
            "assert readline.backend == 'readline', 'install libreadline-dev: this readline is ' + readline.backend\n"
        )
        words = [self.interpreter(), "-I", "-c", script, *self.modules]
        ended = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if ended.returncode:
            raise Failure(f"the untouched build lacks something, so it is no measure:\n{ended.stderr}")
