"""How strongly counts speak against a share being at most a limit, whatever the number of looks.

The e-value of k bad among n mixes the likelihood ratio over every share above the limit T, evenly on a logarithmic scale: a share that is little
beyond the limit takes longest to prove, and needs the weight more than one that is far beyond it.

    E = integral over p in (T, 1] of p^k (1 - p)^(n - k) dp/p / (ln(1/T) T^k (1 - T)^(n - k))

While the true share is at most T, E exceeds 1/alpha with a probability of at most alpha, ever, however often it is looked at (Ville).
"""

import math
from collections.abc import Sequence

_PRECISE = 1e-10
_MOST_TERMS = 100_000


def log_evalue(bad: float, total: float, limit: float) -> float:
    """ln E of ``bad`` among ``total`` against a share of at most ``limit``; 0 for no evidence. Fractions are taken as they are.

    Raises ValueError unless 0 <= bad <= total and 0 < limit < 1.
    """
    if not 0 <= bad <= total or not 0 < limit < 1:
        raise ValueError(f"no counts and limit of a share: {bad:g} of {total:g}, limit {limit:g}")
    a, b, width = bad, total - bad + 1, -math.log(limit)
    # Both branches are the incomplete beta function by its continued fraction, on the side of the mean on which that converges.
    if limit >= a / (a + b):
        return math.log((1 - limit) * _fraction(1 - limit, b, a) / (b * width))
    whole = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b) - bad * math.log(limit) - (total - bad) * math.log1p(-limit)
    below = (1 - limit) * _fraction(limit, a, b) / a
    return whole + math.log1p(-below * math.exp(-whole)) - math.log(width)


def most_log_evalue(bad: float, total: float, limit: float) -> float:
    """What ``log_evalue`` is at most, for a few logarithms: the likelihood ratio of the share that was seen, which is above ``limit``."""
    return _log_ratio(bad, total - bad, bad / total, limit)


def least_log_evalue(bad: float, total: float, limit: float) -> float:
    """What ``log_evalue`` is at least, for a few logarithms, where the share that was seen is above ``limit``; nothing where it is not.

    The likelihood grows up to its one peak, so that over one standard deviation below it, it is at least what it is at the low end.
    """
    good, share = total - bad, bad / total
    low = max(limit, share - (math.sqrt(share * (1 - share) / total) if good else 1 / (total + 1)))
    if low >= share:  # one that is equal to the limit is above it by rounding: 29 > 100 * 0.29
        return -math.inf
    return math.log(math.log(share / low) / -math.log(limit)) + _log_ratio(bad, good, low, limit)


def _log_ratio(bad: float, good: float, share: float, limit: float) -> float:
    """ln of how much likelier the counts are with this share than at the limit."""
    return bad * math.log(share / limit) + (good * math.log((1 - share) / (1 - limit)) if good else 0.0)


def weight(start: int, starts: int) -> float:
    """What a start is of the mixture: half is the change itself (0), a quarter the first of ``starts`` later ones, the others share the rest.

    A later one that is alone has the other half.
    """
    if not starts:
        return 1.0
    if start == 0 or starts == 1:
        return 0.5
    return 0.25 if start == 1 else 0.25 / (starts - 1)


def mixed(evalues: Sequence[float], starts: int) -> float:
    """ln of the mixture over start times; one that has not started counts 1.

    ``evalues``: ln E since the change, then since each later start that has come. Late onsets would drown in the counts since the change alone.
    """
    terms = [math.log(weight(start, starts)) + each for start, each in enumerate(evalues)]
    waiting = math.fsum(weight(start, starts) for start in range(len(evalues), starts + 1))
    return _log_sum([*terms, math.log(waiting)] if waiting > 0 else terms)


def _log_sum(terms: Sequence[float]) -> float:
    most = max(terms)
    if math.isinf(most):
        return most
    return most + math.log(math.fsum(math.exp(term - most) for term in terms))


def _fraction(x: float, a: float, b: float) -> float:
    """I_x(a, b) B(a, b) a / (x^a (1 - x)^b): the continued fraction of the incomplete beta function, for x below its mean a / (a + b).

    It is the contracted one of Didonato and Morris (ACM TOMS 708), which needs half as many steps as that of DLMF 8.17.22: this is where the time of
    a slot goes in which a whole fleet is out of its limits.
    """
    distance, ratio, step = 1 + a - (a + b) * x, b / a, 1 + 1 / a
    upper, lower, upper_before, lower_before = 1.0, distance / step, 0.0, 1.0
    value, p, s = step / distance, 1.0, a + 1
    for n in range(1, _MOST_TERMS):
        t, w, e = n / a, n * (b - n) * x, a / s
        alpha = p * (p + ratio) * e * e * w * x
        beta = n + w / s + (1 + t) / (step + t + t) * (distance + n * (2 - x))
        p, s = 1 + t, s + 2
        upper, upper_before = alpha * upper_before + beta * upper, upper
        lower, lower_before = alpha * lower_before + beta * lower, lower
        former, value = value, upper / lower
        if abs(value - former) <= _PRECISE * value:
            return value * a
        # Scaled anew at each step, so that nothing overflows.
        upper_before, lower_before, upper, lower = upper_before / lower, lower_before / lower, value, 1.0
    raise ArithmeticError(f"the incomplete beta function did not converge at {x:g}, {a:g}, {b:g}")
