"""The build backend: does what setuptools would do, with the same values of sysconfig.

It needs nothing from an index.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import zipfile

TAG = "cp{0}{1}-cp{0}{1}{2}-".format(*sys.version_info[:2], sys.abiflags)
TAG += sysconfig.get_platform().replace("-", "_").replace(".", "_")
INFO = "pykeel_probe-1.0.dist-info"


def words(*names):
    return shlex.split(" ".join(sysconfig.get_config_var(name) or "" for name in names))


def compile_extension():
    target = "pykeel_probe" + sysconfig.get_config_var("EXT_SUFFIX")
    include = [f"-I{sysconfig.get_path(name)}" for name in ("include", "platinclude")]
    subprocess.run([*words("CC", "CFLAGS", "CCSHARED"), *include,
                    "-c", "pykeel_probe.c", "-o", "pykeel_probe.o"], check=True)
    subprocess.run([*words("LDSHARED"), "pykeel_probe.o", "-o", target], check=True)
    return target


def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = f"pykeel_probe-1.0-{TAG}.whl"
    module = compile_extension()
    texts = {
        f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: pykeel-probe\nVersion: 1.0\n",
        f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: pykeel\n"
                         f"Root-Is-Purelib: false\nTag: {TAG}\n",
        f"{INFO}/RECORD": "".join(f"{path},,\n" for path in (
            module, f"{INFO}/METADATA", f"{INFO}/WHEEL", f"{INFO}/RECORD")),
    }
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.write(module)
        for path, text in texts.items():
            wheel.writestr(path, text)
    return name
