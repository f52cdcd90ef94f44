"""The entry point: `python -I -B probe/__main__.py REQUEST.json`."""

import os
import sys

# Python does not add the directory of a script to sys.path with -I. It is there
# only while the package is imported, because checks look at sys.path. A process
# that multiprocessing spawns imports this file too, and so the package.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from probe.main import main  # noqa: E402
del sys.path[0]

if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -I -B probe/__main__.py REQUEST.json")
    main(sys.argv[1:])
