"""How strongly counts speak against a share being at most a limit, whatever the number of looks (S7).

The e-value of k bad among n mixes the likelihood ratio over every share above the limit T, uniformly:

    E = integral over p in (T, 1] of p^k (1 - p)^(n - k) dp / ((1 - T) T^k (1 - T)^(n - k))

While the true share is at most T, E exceeds 1/alpha with a probability of at most alpha, ever, however often it is looked at (Ville).
"""

import math
from collections.abc import Sequence

_TINY = 1e-300
_PRECISE = 1e-13
_MOST_TERMS = 100_000


def log_evalue(bad: float, total: float, limit: float) -> float:
    """ln E of ``bad`` among ``total`` against a share of at most ``limit``; 0 for no evidence. Fractions are taken as they are.

    Raises ValueError unless 0 <= bad <= total and 0 < limit < 1.
    """
    if not 0 <= bad <= total or not 0 < limit < 1:
        raise ValueError(f"no counts and limit of a share: {bad:g} of {total:g}, limit {limit:g}")
    a, b = bad + 1, total - bad + 1
    # Both branches are the incomplete beta function by its continued fraction, on the side of the mean on which that converges.
    if limit >= a / (a + b):
        return math.log(limit * _fraction(1 - limit, b, a) / b)
    whole = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b) - bad * math.log(limit) - b * math.log1p(-limit)
    below = limit * _fraction(limit, a, b) / a
    return whole + math.log1p(-below * math.exp(-whole))


def mixed(evalues: Sequence[float], starts: int) -> float:
    """ln of the mixture over start times: half on the first e-value, half spread over ``starts`` later ones; one that has not started counts 1.

    ``evalues``: ln E since the change, then since each later start that has come. Late onsets would drown in the counts since the change alone.
    """
    first, later = evalues[0], evalues[1:]
    if not starts:
        return first
    waiting = starts - len(later)
    terms = [math.log(0.5) + first, *(math.log(0.5 / starts) + each for each in later)]
    return _log_sum([*terms, math.log(0.5 * waiting / starts)] if waiting > 0 else terms)


def _log_sum(terms: Sequence[float]) -> float:
    most = max(terms)
    if math.isinf(most):
        return most
    return most + math.log(math.fsum(math.exp(term - most) for term in terms))


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method; converges fast for x < (a + 1) / (a + b + 2)."""
    c, d = 1.0, _away(1 - (a + b) * x / (a + 1))
    d = 1 / d
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / _away(1 + even * d), _away(1 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / _away(1 + odd * d), _away(1 + odd / c)
        value *= d * c
        if abs(d * c - 1) < _PRECISE:
            return value
    raise ArithmeticError(f"the incomplete beta function did not converge at {x:g}, {a:g}, {b:g}")


def _away(value: float) -> float:
    """Not zero, which Lentz's method divides by."""
    return value if abs(value) > _TINY else _TINY
