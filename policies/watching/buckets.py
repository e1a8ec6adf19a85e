"""What the buckets of a histogram allow to be said about a limit on its quantile."""

from dataclasses import dataclass
from math import inf

from rollbackd.policies.known.reasons import number_text
from rollbackd.policies.model.policy import Condition
from rollbackd.policies.model.readings import Counts
from rollbackd.policies.model.signals import Latency

FINE = 1.2
"""A bucket that ends at no more than this many times its start places a quantile well enough; so do native ones of the usual resolution."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What was found, and what to do. ``is_fatal``: the limit can never fire."""

    said: str
    hint: str
    is_fatal: bool


def remark(condition: Condition, reading: Counts, shared: tuple[float, ...] | None = None) -> Remark | None:
    """What is wrong with the buckets around the condition's limit; None where one ends at it or it is narrow, and for what is no latency.

    ``shared``: the finite bounds that all its series have, where some have others too.
    """
    signal, low, high = condition.signal, reading.low, reading.high
    if not isinstance(signal, Latency) or low is None or high is None:
        return None
    found = _around(signal, condition.limit.unit, low, high)
    if shared is None:
        return found
    common = ", ".join(_text(bound, condition.limit.unit) for bound in shared) or "none"
    mixed = f"its series have different buckets, and only those that all of them have count ({common})"
    if found is None:
        return Remark(mixed, "nothing, if a release is just changing them; else give all replicas the same", is_fatal=False)
    return Remark(f"{found.said}; {mixed}", found.hint, found.is_fatal)


def _around(signal: Latency, unit: str, low: float, high: float) -> Remark | None:
    limit, quantile = _text(signal.limit, unit), f"p{100 * signal.quantile:g}"
    hint = f'add a bucket le="{signal.limit:g}" to the histogram, or move the limit to a bucket\'s end'
    if high == inf:
        largest = f"the largest bucket ends at {_text(low, unit)}" if low else 'there is no bucket but le="+Inf"'
        return Remark(f"can never fire: {largest}, so no request can be proven slower than {limit}", hint, is_fatal=True)
    if high <= FINE * low:
        return None
    between = f"the limit {limit} lies inside a bucket: a {quantile} between {_text(low, unit)} and {_text(high, unit)} proves nothing"
    if low == 0:
        proofs = f"BREACH is proven only by requests slower than {_text(high, unit)}, health never: that is the smallest bucket"
    else:
        proofs = f"BREACH is proven only by requests slower than {_text(high, unit)}, health only by those faster than {_text(low, unit)}"
    return Remark(f"{between}; {proofs}", hint, is_fatal=False)


def _text(bound: float, unit: str) -> str:
    return number_text(bound, unit or "s")
