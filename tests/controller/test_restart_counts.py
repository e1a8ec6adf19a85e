"""A daemon that is killed in the middle of a watch says what it would have said: its counts are read back to the change, and to the calm before."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.source import Answer, Query
from rollbackd.adapters.scrape.given import Given, Shown
from rollbackd.controller.engine import observation
from rollbackd.controller.engine.observation import Observation, history_slots
from rollbackd.controller.observe.readings import Observer
from rollbackd.policies.known.reasons import verdict_reason
from rollbackd.policies.model.policy import Bound, Mode
from rollbackd.policies.model.signals import Identity, Matcher, Ratio, Selector
from tests.controller.world import SHOP_POLICY, World
from tests.policies.literals import ERRORS, HOUR, MINUTE, T0

RELEASED, KILLED, LAST = 52, 68, 84
"""Minutes: the release, the kill in the middle of its watch, and the end. One error in 25 before it, 9 in 100 after."""
BAD = Selector("requests_total", (Matcher("code", "=", "500"),))
CONDITION = replace(ERRORS, signal=Ratio(BAD, Selector("requests_total")), identity=Identity((), ()), bound=Bound(0.01))
POLICY = replace(SHOP_POLICY, every=MINUTE, mode=Mode.OBSERVE, watch=HOUR, conditions=(CONDITION,))


class Kept(Given):
    """A source with a history. ``scrapes``: so many to a block, so that blocks overlap from look to look."""

    def __init__(self, scrapes: int, most: int = 10_000) -> None:
        bad, pages = 0, []
        for minute in range(LAST + 1):
            bad += 4 if minute <= RELEASED else 9
            shown = {'requests_total{code="500"}': float(bad), 'requests_total{code="200"}': 100.0 * minute - bad}
            pages.append(Shown(T0 + minute * MINUTE, shown))
        super().__init__("prometheus", [pages], interval=MINUTE)
        self.block = lambda every: scrapes * every
        self.most = most
        self.asked: list[int] = []

    def read_history(self, query: Query, instants: object) -> Mapping[datetime, Answer]:
        self.asked.append(len(instants))  # type: ignore[arg-type]  # a sequence
        if self.asked[-1] > self.most:
            raise Transient("too much at once")
        return super().read_history(query, instants)  # type: ignore[arg-type]  # as it came


class Run:
    """A daemon's core from one minute on, over the folder of those before it."""

    def __init__(self, folder: Path, source: Given, minute: int) -> None:
        self.world = World(folder, POLICY, at=T0 + minute * MINUTE)
        self.observer = Observer({"prometheus": source}, lambda _: None)
        self.observation = Observation(self.world.engine, self.observer, self.world.surveyor)

    def until(self, minute: int) -> dict[datetime, str]:
        """What it said at each minute up to this one."""
        said, world = {}, self.world
        while world.at < T0 + minute * MINUTE:
            world.at += MINUTE
            if world.at == T0 + RELEASED * MINUTE:
                world.deploy("v2")
            world.engine.cycle(self.observation.batch([POLICY], [POLICY], world.at))
            said[world.at] = verdict_reason(CONDITION, world.engine.standings["shop"].evaluation.verdicts[0])
        return said

    def close(self) -> None:
        self.observation.close()
        self.world.close()


def said_through_a_restart(folder: Path, source: Given) -> dict[datetime, str]:
    killed = Run(folder, source, 0)
    said = killed.until(KILLED)
    killed.close()
    after = Run(folder, source, KILLED)
    said |= after.until(LAST)
    after.close()
    return said


def said_by_one(folder: Path, source: Given) -> dict[datetime, str]:
    whole = Run(folder, source, 0)
    said = whole.until(LAST)
    whole.close()
    return said


@pytest.mark.parametrize("scrapes", [1, 4])
def test_a_restart_in_the_middle_of_a_watch_changes_no_verdict(tmp_path: Path, scrapes: int) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    said = said_by_one(folders[0], Kept(scrapes))
    assert said_through_a_restart(folders[1], Kept(scrapes)) == said
    odds = [text for text in said.values() if "to 1 needed" in text]
    assert "not proven" in odds[0]
    assert "not proven" not in odds[-1]
    assert "bursts not measured" not in odds[-1]


def test_a_source_that_cannot_tell_so_much_tells_what_a_look_rests_on(tmp_path: Path) -> None:
    source = Kept(1, most=70)
    run = Run(tmp_path, source, 0)
    run.until(KILLED)
    run.close()
    after = Run(tmp_path, source, KILLED)
    assert "to 1 needed" in after.until(KILLED + 1)[T0 + (KILLED + 1) * MINUTE]
    assert len(history_slots([POLICY], T0)) in source.asked  # beside the hour before the change
    after.close()


def test_the_past_of_many_is_read_as_far_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = T0 - timedelta(hours=6)
    assert len(history_slots([POLICY], T0, begun)) == 8 * 60
    monkeypatch.setattr(observation, "MOST_READINGS", 100)
    assert len(history_slots([POLICY], T0, begun)) == 100
    assert len(history_slots([POLICY] * 50, T0, begun)) == len(history_slots([POLICY] * 50, T0))
