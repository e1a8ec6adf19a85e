"""What the counts since a change come to against a limit: whether they prove a breach for the price of a few comparisons, and how strongly only
where somebody asks. Most shares are far from proven or far beyond it, and then bounds of the e-value are enough."""

import math
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, Protocol

from rollbackd.policies.judge.bursts import spreads
from rollbackd.policies.judge.evalue import least_log_evalue, log_evalue, mixed, most_log_evalue, weight
from rollbackd.policies.judge.evidence import Sums
from rollbackd.policies.model.readings import Counts

SLIGHT = 30.0
"""A start that has so much less evidence than another, in ln, adds nothing that shows."""
BEYOND_ONE = 1.6
"""So many times the evidence without its heaviest block is what a start has at most: that block is three eighths of it."""
SPARED = 1
"""While no more of the later starts have come a single block may be all the proof there is."""
NOTHING = Sums()


class Heavy(NamedTuple):
    """A block with more ``events`` of one side than any after it, which began after so many of the later ``starts``."""

    starts: int
    events: float
    block: Counts


class Side(NamedTuple):
    """One side of a limit: of what was counted at most the share ``limit`` is within it, of bad events, or ``of_good`` ones.

    ``sums`` since the change; ``begun``: what of them was there when each of the later ``starts`` began that has come. ``spread``: the burstiness
    that counts since the change are divided by (None: not known, and taken as 1); the later starts know more. ``heavy``: where it was not known at
    the change, the blocks with most events out of the limit. Once more than SPARED starts have come, the heaviest is at most three eighths of the
    proof: a burst is one event that was counted many times, and in a long watch one is sure to come.
    """

    limit: float
    of_good: bool
    sums: Sums
    begun: tuple[Sums, ...]
    starts: int
    spread: float | None
    heavy: tuple[Heavy, ...] = ()

    def reaches(self, needed: float) -> bool:
        """Whether ln of the mixture over start times comes to ``needed`` > 0: what ``log_e`` says, where bounds of it do not say it already."""
        if self.limit <= 0:
            return self._out(self.sums) >= 1
        is_open = False
        for index, out, total, scale in self._candidates(needed):
            counts, rest = self._whole(out, total), self._rest(index, out, total)
            alone = needed - math.log(weight(index, self.starts))
            if self._least(*counts, scale) >= alone and (rest is None or BEYOND_ONE * self._least(*rest, scale) >= alone):
                return True
            is_open = is_open or (self._most(*counts, scale) >= needed and (rest is None or BEYOND_ONE * self._most(*rest, scale) >= needed))
        return is_open and self.log_e >= needed

    @property
    def log_e(self) -> float:
        """ln of the mixture over start times; what cannot matter beside the strongest start is left out."""
        return mixed(self._found(), self.starts)

    @property
    def strongest(self) -> int:
        """Since which start most speaks for a breach: 0 is the change itself."""
        found = self._found()
        return max(range(len(found)), key=found.__getitem__)

    @property
    def bursts(self) -> float | None:
        """The burstiness that counts since the strongest start are divided by; None: not known."""
        return (self.spread, *spreads(self.begun, self.spread))[self.strongest]

    def _scales(self) -> list[float]:
        """What counts since each start are divided by."""
        return [known or 1.0 for known in (self.spread, *spreads(self.begun, self.spread))]

    def _found(self) -> list[float]:
        """ln E since each start that has come; of one that cannot matter, something beyond it."""
        counts = [self._whole(*pair) for pair in self._since()]
        scales = self._scales()
        found = [self._most(*pair, scale) for pair, scale in zip(counts, scales, strict=True)]
        rests = [self._rest(index, *pair) for index, pair in enumerate(self._since())]
        strongest = max(range(len(found)), key=found.__getitem__)
        least = -math.inf
        for index in (strongest, *(index for index in range(len(found)) if index != strongest)):
            if not counts[index][1] or math.isinf(found[index]):
                continue
            found[index] = -math.inf if found[index] < least - SLIGHT else self._exact(*counts[index], scales[index])
            if (rest := rests[index]) is not None:
                found[index] = min(found[index], BEYOND_ONE * self._evidence(*rest, scales[index]))
            least = max(least, found[index])
        return found

    def _out(self, sums: Sums | Counts) -> float:
        return sums.total - sums.most if self.of_good else sums.least

    def _since(self) -> Iterator[tuple[float, float]]:
        """What was counted since each start: out of the limit, and in all."""
        out, total, of_good = self._out(self.sums), self.sums.total, self.of_good
        yield out, total
        for least, most, among in self.begun:
            yield out - (among - most if of_good else least), total - among

    def _candidates(self, needed: float) -> Iterator[tuple[int, float, float, float]]:
        """The starts that may come to ``needed`` by themselves, each with its counts and what they are divided by; unless one does, no mixture does.

        ln E is at most total * KL(seen, limit), and that at most the chi-square distance (Gibbs and Su 2002, theorem 5).
        """
        limit, scales = self.limit, [self.spread or 1.0]
        floor = 0.999 * needed * limit * (1 - limit)  # a little less, for what rounding adds
        for index, (out, total) in enumerate(self._since()):
            excess = out - total * limit
            if excess <= 0 or excess * excess < floor * total:
                continue
            if index and len(scales) == 1:
                scales = self._scales()
            if excess * excess >= floor * total * scales[index]:
                yield index, out, total, scales[index]

    @staticmethod
    def _whole(out: float, total: float) -> tuple[int, int]:
        # Sources extrapolate, so counts arrive as fractions: a breach has to be proven by whole events among more of them.
        among = math.ceil(total - 1e-6)
        return min(max(0, math.floor(out + 1e-6)), among), among

    def _most(self, out: int, total: int, scale: float) -> float:
        """What ln E of these counts is at most; on the limit's own side E is at most 1, and is not worth computing."""
        if out <= total * self.limit:
            return 0.0 if not total else -math.inf
        return math.inf if self.limit <= 0 else most_log_evalue(out, total, self.limit) / scale

    def _exact(self, out: int, total: int, scale: float) -> float:
        return log_evalue(out / scale, total / scale, self.limit)

    def _rest(self, index: int, out: float, total: float) -> tuple[int, int] | None:
        """What was counted since a start beside its heaviest block; None shortly after the change, and where bursts are known."""
        if not self.heavy or len(self.begun) <= SPARED:
            return None
        for starts, _, block in self.heavy:
            if starts >= index:
                return self._whole(out - self._out(block), total - block.total)
        return self._whole(out, total)

    def _evidence(self, out: int, total: int, scale: float) -> float:
        """ln E of these counts; none at all on the limit's own side."""
        most = self._most(out, total, scale)
        return self._exact(out, total, scale) if 0 < most < math.inf else most or -math.inf

    def _least(self, out: int, total: int, scale: float) -> float:
        """What ln E of these counts is at least."""
        return least_log_evalue(out / scale, total / scale, self.limit) if out > total * self.limit else -math.inf


class Evident(Protocol):
    """What is tried: it has evidence against what is to be kept."""

    @property
    def log_e(self) -> float:
        """ln of an e-value."""
        ...

    @property
    def bursts(self) -> float | None:
        """The burstiness that counts are divided by; None: not known, and taken as 1."""
        ...

    def reaches(self, needed: float) -> bool:
        """Whether ``log_e`` comes to ``needed`` > 0."""
        ...


class Trial(NamedTuple):
    """How strongly everything counted since ``since`` speaks for a breach, whatever the number of looks.

    Proven where ln E comes to ``needed``, ln(1/alpha), and from ``volume`` events on. ``sides``: those of the limit.
    """

    since: datetime
    needed: float
    volume: int
    sums: Sums
    sides: tuple[Evident, ...]

    @property
    def least(self) -> int:
        """So many whole events were bad at least."""
        return math.floor(self.sums.least + 1e-6)

    @property
    def most(self) -> int:
        """So many were at most."""
        return math.ceil(self.sums.most - 1e-6)

    @property
    def total(self) -> int:
        """Of so many."""
        return math.ceil(self.sums.total - 1e-6)

    @property
    def is_proven(self) -> bool:
        """True where a share within the limit would come to this in at most alpha of all cases. Reckoned when it is asked: most never are."""
        return self.total >= self.volume and True in [side.reaches(self.needed) for side in self.sides]

    @property
    def log_e(self) -> float:
        """ln E, the mixture over start times; of a range, that of the side which is further out."""
        return max(side.log_e for side in self.sides)

    @property
    def bursts(self) -> float | None:
        """The burstiness that the counts of that side were divided by; None: not known, and taken as 1."""
        return max(self.sides, key=lambda side: side.log_e).bursts
