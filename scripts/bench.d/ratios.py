"""Ratios of two sides that were measured in turn, with what can be said about them.

A series is a list with one time for each round. Both sides of a round ran within seconds of each
other, so that what slows the machine for a while slows both, and their ratio is left alone.
"""

import math
import random
import statistics

TIMES = 2000


def geometric_mean(values):
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values))


def per_round(base, other):
    """How many times as fast as the base the other side was, round by round."""
    return [b / o for b, o in zip(base, other, strict=True)]


def interval(draw):
    """The 95 % confidence interval of what `draw` estimates from a resampling it is given."""
    chance = random.Random(1)
    drawn = sorted(draw(chance) for _ in range(TIMES))
    return drawn[int(TIMES * 0.025)], drawn[int(TIMES * 0.975) - 1]


def resampled(chance, values):
    return [values[chance.randrange(len(values))] for _ in values]


def one(ratios):
    """Median and interval of the ratios of one benchmark."""
    return statistics.median(ratios), *interval(lambda chance: statistics.median(resampled(chance, ratios)))


def mean(benchmarks):
    """Geometric mean over benchmarks, its interval over rounds, and over rounds and benchmarks.

    The first interval says what another run of the same benchmarks would give, the second, which
    is wider, what another choice of benchmarks would.
    """
    series = list(benchmarks.values())
    rounds = range(min(map(len, series)))

    def over_rounds(chance):
        chosen = resampled(chance, rounds)
        return geometric_mean(statistics.median(ratios[number] for number in chosen) for ratios in series)

    def over_both(chance):
        chosen = resampled(chance, rounds)
        return geometric_mean(statistics.median(ratios[number] for number in chosen) for ratios in resampled(chance, series))

    return geometric_mean(map(statistics.median, series)), interval(over_rounds), interval(over_both)


def shown(value, low, high):
    return f"{value:.3f} ({low:.3f}-{high:.3f})"
