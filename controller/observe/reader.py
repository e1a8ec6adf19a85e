"""One question's answer, as readings: what it cannot tell for certain is Unknown."""

from datetime import datetime, timedelta
from math import isnan

from rollbackd.adapters.base.source import Answer, Increases, Row, RowKey, Slower, Source
from rollbackd.controller.observe.questions import PART, Question
from rollbackd.policies.model.readings import Counts, Events, Lack, Level, Reading, Unknown

MOST_COUNTED = 2.0**53
"""Beyond it a float is no number of single events any more."""


def is_countable(count: float) -> bool:
    """Whether it can be a number of events."""
    return 0 <= count <= MOST_COUNTED


class Reader:
    """One question's answer, as readings."""

    def __init__(self, group: Question, answer: Answer, asked: datetime, source: Source) -> None:
        self._group = group
        self._answer = answer
        self._asked = asked
        self._oldest = asked - source.freshness
        self._span = asked - (group.window if isinstance(group, Increases | Slower) else timedelta(0)), asked

    def reading(self, row_key: RowKey) -> Reading:
        """What the answer tells of this workload."""
        if fault := self._answer.faults.get(row_key):
            return Unknown(self._asked, Lack.ERROR, fault)
        row = self._answer.rows.get(row_key)
        if row is None:
            # An empty answer is not zero errors: the scrape may be gone, so it can neither prove a breach nor clear one.
            return Unknown(self._asked, Lack.NODATA, "no series with a finite value for this workload")
        if row.newest < self._oldest:
            return Unknown(self._asked, Lack.NODATA, f"stale: the newest sample is from {row.newest:%H:%M:%S}")
        return self._from_row(row)

    def _from_row(self, row: Row) -> Reading:
        if isinstance(self._group, Slower):
            return self._slower(row)
        if isinstance(self._group, Increases):
            return self._counted(self._group, row)
        value = row.values.get("value")
        if value is None:
            return Unknown(self._asked, Lack.NODATA, "no finite value")
        return Level(self._asked, value, row.newest, int(row.values.get("units", 0)))

    def _slower(self, row: Row) -> Reading:
        values = row.values
        if "total" not in values:
            return Unknown(self._asked, Lack.NODATA, "the histogram has no total")
        if doubt := self._doubt(values["least"], values["most"], values["total"]):
            return doubt
        low, high = values.get("low"), values.get("high")
        return Counts(*(row.counted or self._span), values["least"], values["most"], values["total"], row.newest, low, high)

    def _counted(self, group: Increases, row: Row) -> Reading:
        values = row.values
        if group.parts[0][0] == PART:
            count = values.get(PART)
            if count is None:
                return Unknown(self._asked, Lack.NODATA, "no events counted")
            if doubt := self._doubt(count):
                return doubt
            return Events(*(row.counted or self._span), count or 0.0, row.newest)  # one zero for all: most of a healthy fleet's counts are kept zeros
        total, bad = values.get("total"), values.get("bad")
        if total is None:
            return Unknown(self._asked, Lack.NODATA, "no series for the total")
        if bad is None and not self._bad_may_be_absent(group):
            return Unknown(self._asked, Lack.NODATA, f"no series of {group.parts[0][1].metric} anywhere: it may be misspelt")
        if doubt := self._doubt(bad or 0.0, total):
            return doubt
        return Counts(*(row.counted or self._span), bad or 0.0, bad or 0.0, total, row.newest)

    def _doubt(self, *counts: float) -> Unknown | None:
        """Why these are no numbers of events, of which anything could be proven; None where they are."""
        if any(map(isnan, counts)):
            return Unknown(self._asked, Lack.ERROR, "the events counted are no number")
        if (lowest := min(counts)) < 0:
            return Unknown(self._asked, Lack.ERROR, f"{lowest:g} events were counted: what falls below zero is no counter")
        if (highest := max(counts)) > MOST_COUNTED:
            return Unknown(self._asked, Lack.ERROR, f"{highest:g} events were counted: beyond 2^53 single events are not told apart")
        return None

    def _bad_may_be_absent(self, group: Increases) -> bool:
        """A label value is born at its first event: absence is zero where the same metric counts the total, or where others have it."""
        metrics = dict(group.parts)
        return metrics["bad"].metric == metrics["total"].metric or "bad" in self._answer.known_parts
