"""Feeds random values to the function of `sysconfig` that follows a moved installation.

Run by the Python that is tested, with a seed and a number of values.
"""

import random
import string
import sys
import sysconfig
import types

PREFIX = "/opt/myorg/python"
MOVED = "/moved/to here/é"
PIECES = [PREFIX, PREFIX, PREFIX, MOVED, "-L", "-I", "-Wl,", "--prefix=", "'", '"', " ", "/", "/lib", "-debug", ".old",
          "~", "+", "_", "=", ":", ",", "$(x)", "\\", "\n", "\0", "é", "ß", "\U0001f40d", "3", "x", "Z"]


def expected(value):
    """The same by hand: the prefix goes where it is a whole path and not the middle of another."""
    def part_of_a_name(char, more):
        return char.isalnum() or char == "_" or char in more

    out, at = [], 0
    while at < len(value):
        end = at + len(PREFIX)
        if value.startswith(PREFIX, at):
            before = value[at - 1] if at else ""
            behind = value[end] if end < len(value) else ""
            option = at >= 2 and value[at - 2] == "-" and value[at - 1] in string.ascii_uppercase
            begins = option or not (before and part_of_a_name(before, "+~-"))
            ends = not (behind and part_of_a_name(behind, ".+~-"))
            if begins and ends:
                out.append(MOVED)
                at = end
                continue
        out.append(value[at])
        at += 1
    return "".join(out)


def main(seed, count):
    generator = random.Random(seed)
    module = types.ModuleType(sysconfig._get_sysconfigdata_name())
    sys.modules[module.__name__] = module
    sysconfig._BASE_PREFIX = MOVED
    done = 0
    while done < count:
        values = {f"v{number}": "".join(generator.choices(PIECES, k=generator.randrange(12))) for number in range(50)}
        others = {"number": generator.randrange(1000), "none": None, "bytes": PREFIX.encode()}
        module.build_time_vars = {"prefix": PREFIX, **values, **others}
        found = {}
        sysconfig._init_posix(found)
        for name, value in values.items():
            assert found[name] == expected(value), (value, found[name], expected(value))
        assert found["prefix"] == MOVED
        assert {name: found[name] for name in others} == others
        assert module.build_time_vars["prefix"] == PREFIX, "the data itself was changed"
        done += len(values)
    print(done)


main(int(sys.argv[1]), int(sys.argv[2]))
