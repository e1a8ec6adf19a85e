"""An incident whose target kills whoever asks it: after three lives it is given to people, wherever in its story that happens."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.controller.act.deaths import Deadly, Deaths
from rollbackd.controller.act.order import Order
from rollbackd.policies.known.events import Applied, Held, Intended, Ordered
from tests.controller.act_samples import ACT, DONE, ORDER, PLAN, SHOP, Acting, AtOnce
from tests.controller.journal_samples import APPLIED, CHECKOUT, SECOND, T0, claim


class Killed(BaseException):
    """The process ends here, as far as anything in it can tell."""


def ask_in(acting: Acting, folder: Path, order: Order = ORDER) -> None:
    """One more life of the daemon does what there is to do."""
    actor = acting.made(pool=AtOnce(), stop=acting.stop, deaths=Deaths(folder))
    incident = acting.store.incident("inc-1")
    assert incident is not None
    if incident.intent is None or incident.order is not None:
        actor.begin(order)
    else:
        actor.resume(incident, SHOP)


def kill(acting: Acting, question: str) -> None:
    def killed(_: object) -> object:
        raise Killed

    setattr(acting.target, question, killed)


def nothing_begun(acting: Acting) -> None:
    """The first rung is to be planned."""


def claimed(acting: Acting) -> None:
    claim(acting.store)
    acting.journal.move(30 * SECOND)


def settling(acting: Acting) -> None:
    claim(acting.store)
    acting.record(APPLIED)


@pytest.mark.parametrize(
    ("reached", "question", "kinds"),
    [
        pytest.param(nothing_begun, "plan", [Held], id="plan-of-a-new-rung"),
        pytest.param(claimed, "look", [Intended, Held], id="look-before-a-takeover"),
        pytest.param(claimed, "plan", [Intended, Held], id="plan-before-a-takeover"),
        pytest.param(settling, "look", [Intended, Applied, Held], id="look-while-settling"),
    ],
)
def test_what_killed_three_lives_is_held_by_the_fourth_and_told(
    acting: Acting, tmp_path: Path, reached: Callable[[Acting], None], question: str, kinds: list[type]
) -> None:
    reached(acting)
    kill(acting, question)
    for _ in range(3):
        with pytest.raises(Killed):
            ask_in(acting, tmp_path / "deaths")
    ask_in(acting, tmp_path / "deaths")
    assert (acting.kinds(), acting.guards(), acting.queued()) == (kinds, ["crash-loop"], ["held"])
    assert acting.target.written == []


def test_the_third_life_still_tries_and_what_it_comes_back_from_counts_no_more(acting: Acting, tmp_path: Path) -> None:
    kill(acting, "plan")
    for _ in range(2):
        with pytest.raises(Killed):
            ask_in(acting, tmp_path / "deaths")
    del acting.target.plan
    ask_in(acting, tmp_path / "deaths")
    assert (acting.kinds(), acting.target.written) == (DONE, [PLAN])
    assert list((tmp_path / "deaths").iterdir()) == []


def test_a_target_that_cannot_be_reached_kills_nobody(acting: Acting, tmp_path: Path) -> None:
    claimed(acting)
    acting.target.stands = Transient("it does not answer")
    acting.clock.at = acting.journal.at = T0 + 30 * SECOND
    for _ in range(5):
        ask_in(acting, tmp_path / "deaths")
    assert "crash-loop" not in acting.guards()
    assert list((tmp_path / "deaths").iterdir()) == []


def test_other_incidents_go_on(tmp_path: Path) -> None:
    deaths = Deaths(tmp_path / "deaths")
    for _ in range(3):
        with pytest.raises(Killed), deaths.counted("inc-1"):
            raise Killed
    with deaths.counted("inc-2"):
        pass
    with pytest.raises(Deadly, match="3 times rollbackd was killed"), deaths.counted("inc-1"):
        pass


def test_what_a_person_orders_after_it_was_held_is_tried_anew(acting: Acting, tmp_path: Path) -> None:
    kill(acting, "plan")
    for _ in range(3):
        with pytest.raises(Killed):
            ask_in(acting, tmp_path / "deaths")
    ask_in(acting, tmp_path / "deaths")
    acting.record(Ordered("inc-1", T0, 0, CHECKOUT, "rev-b", PLAN.digest, "ann", "customers say so"))
    del acting.target.plan
    ask_in(acting, tmp_path / "deaths", replace(ORDER, act=replace(ACT, plan_digest=PLAN.digest, by=("ann",))))
    assert (acting.kinds(), acting.target.written) == ([Held, Ordered, *DONE], [PLAN])


def test_a_process_that_is_killed_leaves_the_mark_behind(tmp_path: Path) -> None:
    said = "import os, signal, sys, pathlib; from rollbackd.controller.act.deaths import Deaths"
    does = "\nwith Deaths(pathlib.Path(sys.argv[1])).counted('inc-1'): os.kill(os.getpid(), signal.SIGKILL)"
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", said + does, str(tmp_path / "deaths")], check=False).returncode == -signal.SIGKILL
    with pytest.raises(Deadly), Deaths(tmp_path / "deaths").counted("inc-1"):
        pass


def test_a_folder_that_takes_no_file_keeps_nobody_from_asking(tmp_path: Path) -> None:
    (tmp_path / "deaths").write_text("no folder")
    with Deaths(tmp_path / "deaths").counted("inc-1"):
        pass
