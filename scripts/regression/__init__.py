"""Runs CPython's own regression tests against pykeel's Python and against an untouched build of
the same source archive, and compares the two test by test.

    scripts/regression-tests ARCHIVE PYKEEL CACHE OUTPUT [--artifact TARBALL]... [--run NAME]...

    ARCHIVE   CPython's source archive, as python.org publishes it
    PYKEEL    the pykeel program
    CACHE     a directory for builds and results; it may be deleted at any time
    OUTPUT    where the report is written, as JSON

pykeel's side
  `pykeel build --keep-build` builds both flavors in a store of its own. In the build tree that it
  leaves, the extension modules that only tests import are made by the same Makefile. They stay
  outside the artifact, in a directory that PYTHONPATH names. The artifact is installed, not at the
  prefix that is compiled in but in a temporary directory, and Lib/test of the source is added.
  Tests that need more are run again in a tree to which selection.ini adds it. With --artifact the
  build must produce exactly that tarball.

The untouched side
  ./configure --prefix=... --with-ensurepip=install, make, make install, without patches
  or options of pykeel.

The comparison
  tests/data/regression/selection.ini says which test modules are run, and in which runs. Every test
  has an outcome on either side: passed, skipped and why, failed, expected failure. Where the two
  differ, tests/data/regression/differences.ini must say so, for exactly this test and these two
  outcomes, and why. Failures are run again, alone, on both sides: some tests measure time.

The exit code is 0 if every difference is explained, 1 if one is not or if an explained difference
is gone, 2 if the comparison failed. CPython 3.12 or newer; Python 3.9 or newer runs this.
"""
