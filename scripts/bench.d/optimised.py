"""The time of an optimised build: pykeel's, and others' of the same speed."""

import shutil
import statistics
import tempfile
from pathlib import Path

from common import PYKEEL, RELEASE, STORE, artifact, pykeel, seconds, table, timed
from pythons import FLAGS, by_hand


def unpinned(place):
    """An overlay without the profiles that the recipe pins: pykeel has to train."""
    recipes = place / "recipes"
    recipes.mkdir()
    series = RELEASE.rpartition(".")[0]
    (recipes / f"{series}.toml").write_text(f'extends = "{series}"\nremove = ["profile"]\n')
    return recipes


def optimised(rounds=1):
    artifact()  # The source is in the store now.
    source = STORE / "sources" / pykeel("recipe", "show", RELEASE)["sums"]["xz"]
    docker, default = "docker-library's flags by hand", "python-build's way by hand"
    first, after, training = "pykeel, first build of a source", "pykeel, after that", "pykeel, training included"
    plain = "pykeel, `--optimize none`"
    times = {name: [] for name in (docker, default, first, after, training, plain)}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=STORE) as place:
            place = Path(place)
            store = place / "store"
            (store / "sources").mkdir(parents=True)
            shutil.copy(source, store / "sources")
            times[first].append(timed([PYKEEL, "build", RELEASE, "--store", store]))
            shutil.rmtree(store / "artifacts")
            times[after].append(timed([PYKEEL, "build", RELEASE, "--store", store]))
        with tempfile.TemporaryDirectory(dir=STORE) as place:
            place = Path(place)
            for name, options in {training: ["--optimize", "pgo", "--recipes", unpinned(place)], plain: ["--optimize", "none"]}.items():
                store = place / name.replace(" ", "")[-8:].strip("`")
                (store / "sources").mkdir(parents=True)
                shutil.copy(source, store / "sources")
                times[name].append(timed([PYKEEL, "build", RELEASE, "--store", store, *options]))
        for name, flags in {default: FLAGS["python-build"], docker: FLAGS["docker-library"]}.items():
            with tempfile.TemporaryDirectory(dir=STORE) as place:
                times[name].append(sum(by_hand(Path(place), flags).values()))
    print(f"{rounds} rounds, alternating; seconds of wall clock, median (minimum-maximum). pykeel's are from the verified source to "
          "the stored, verified tarball; by hand it is from the unpacked source to the installed tree.\n")
    base, other = statistics.median(times[docker]), statistics.median(times[default])
    table(["build", "seconds", "of docker-library's", "of python-build's"], [
        [name, seconds(values), f"{statistics.median(values) / base:.3f}", f"{statistics.median(values) / other:.2f}"]
        for name, values in times.items()
    ])
