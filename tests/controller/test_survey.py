"""How targets are asked where one kind of them does not answer: it costs its own slots, and nobody else's."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.target import TargetState
from rollbackd.adapters.command import Command, CommandSpec
from rollbackd.controller.observe.changes import Survey
from rollbackd.controller.observe.survey import Surveyor
from tests.policies.literals import SECOND, T0
from tests.servers import poll

SHOP = "command:shop"
CHECKOUT = "kubernetes:default/shop/deployment/checkout"


class Prompt:
    """A kind of target whose keys all run v1."""

    kind = "command"

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        return {key: TargetState(key, "v1") for key in keys}


class Hanging(Prompt):
    """A kind of target that answers once it is let go, and counts how often it was asked."""

    kind = "kubernetes"

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked = 0

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        self.asked += 1
        self.let_go.wait(60)
        return super().survey(keys)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    kind = Hanging()
    yield kind
    kind.let_go.set()


@pytest.fixture
def surveyor(hanging: Hanging) -> Iterator[Surveyor]:
    surveyor = Surveyor({"command": Prompt(), "kubernetes": hanging}, patience=0.1 * SECOND)
    yield surveyor
    surveyor.close()


def states(surveyor: Surveyor) -> Mapping[str, TargetState | AdapterError]:
    return surveyor.survey((SHOP, CHECKOUT), T0).states


def test_a_kind_that_hangs_leaves_the_others_seen(surveyor):
    poll(lambda: states(surveyor)[SHOP] == TargetState(SHOP, "v1"), within=20)


def test_a_kind_that_hangs_is_not_seen_and_says_what_to_look_at(surveyor):
    late = states(surveyor)[CHECKOUT]
    assert isinstance(late, Transient)
    assert str(late) == "targets of kind kubernetes did not answer in time; what was known of them stands; look at their API"


def test_a_kind_that_hangs_is_not_asked_again_meanwhile(surveyor, hanging):
    for _ in range(5):
        states(surveyor)
    assert hanging.asked == 1


def test_a_kind_that_answers_again_is_seen_again(surveyor, hanging):
    states(surveyor)
    hanging.let_go.set()
    poll(lambda: states(surveyor)[CHECKOUT] == TargetState(CHECKOUT, "v1"), within=20)


def test_an_answer_that_came_too_late_is_told_once_as_of_its_own_slot(surveyor, hanging):
    asked = surveyor.survey((SHOP, CHECKOUT), T0)
    hanging.let_go.set()
    later = []
    poll(lambda: later.append(surveyor.survey((SHOP, CHECKOUT), T0 + 15 * SECOND)) or later[-1].former, within=20)
    assert later[-1].former == (Survey(asked.began, T0, {CHECKOUT: TargetState(CHECKOUT, "v1")}),)
    assert surveyor.survey((SHOP, CHECKOUT), T0 + 30 * SECOND).former == ()


def test_other_targets_of_a_kind_are_asked_for_while_an_answer_is_late(surveyor, hanging):
    states(surveyor)
    surveyor.survey((CHECKOUT.replace("checkout", "cart"),), T0)
    assert hanging.asked == 2


def test_an_answer_that_came_too_late_is_told_to_the_slots_of_its_targets_alone(surveyor, hanging):
    states(surveyor)
    hanging.let_go.set()
    assert surveyor.survey((SHOP,), T0).former == ()
    poll(lambda: surveyor.survey((CHECKOUT,), T0).former, within=20)


class Together(Prompt):
    """A kind of target that answers as soon as two ask it at the same moment."""

    def __init__(self) -> None:
        self.both = threading.Barrier(2, timeout=20)

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        self.both.wait()
        return super().survey(keys)


def test_slots_of_two_sources_at_the_same_moment_see_their_targets_both():
    surveyor = Surveyor({"command": Together()}, patience=20 * SECOND)
    with ThreadPoolExecutor(2) as slots:
        seen = [future.result().states for future in [slots.submit(surveyor.survey, [key], T0) for key in (SHOP, "command:cart")]]
    surveyor.close()
    assert seen == [{SHOP: TargetState(SHOP, "v1")}, {"command:cart": TargetState("command:cart", "v1")}]


def test_a_kind_that_nobody_configured_says_so():
    surveyor = Surveyor({})
    (state,) = surveyor.survey(["nomad:shop"], T0).states.values()
    surveyor.close()
    assert isinstance(state, Permanent)


class Failing(Prompt):
    """A kind of target that cannot be read, for a reason that has a reason."""

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        faults: dict[str, TargetState | AdapterError] = {}
        for key in keys:
            try:
                try:
                    raise OSError("no route to host")
                except OSError as error:
                    raise Transient("not reached") from error
            except AdapterError as fault:
                faults[key] = fault
        return faults


def test_a_fault_that_is_an_answer_keeps_nothing_of_where_it_came_from() -> None:
    surveyor = Surveyor({"command": Failing()})
    fault = surveyor.survey((SHOP,), T0).states[SHOP]
    surveyor.close()
    assert isinstance(fault, Transient)
    assert (str(fault), fault.__traceback__, fault.__cause__, fault.__context__) == ("not reached", None, None, None)


class Broken(Prompt):
    """A kind of target with a bug, until it is mended."""

    kind = "kubernetes"
    bug: Exception | None = None

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        if self.bug is not None:
            raise self.bug
        return super().survey(keys)


@pytest.fixture
def broken() -> Broken:
    kind = Broken()
    kind.bug = KeyError("spec")
    return kind


@pytest.fixture
def beside_broken(broken: Broken) -> Iterator[Surveyor]:
    surveyor = Surveyor({"command": Prompt(), "kubernetes": broken}, patience=20 * SECOND)
    yield surveyor
    surveyor.close()


def test_a_bug_in_one_kind_makes_its_targets_unreadable_and_no_others(beside_broken):
    found = states(beside_broken)
    assert found[SHOP] == TargetState(SHOP, "v1")
    assert isinstance(found[CHECKOUT], Transient)
    assert str(found[CHECKOUT]) == (
        "asking kubernetes how it stands failed by a bug of rollbackd (KeyError); what was known of it stands; report 'survey.crashed' of its log"
    )


def test_a_bug_is_in_the_log_once_with_where_it_is_and_again_when_it_is_another(beside_broken, broken):
    with capture_logs() as logged:
        states(beside_broken)
        states(beside_broken)
        broken.bug = None
        states(beside_broken)
        broken.bug = KeyError("spec")
        states(beside_broken)
        broken.bug = ValueError("weight")
        states(beside_broken)
    assert [(line["event"], line["asked"], line["exc_info"]) for line in logged] == 3 * [("survey.crashed", "kubernetes", True)]


class Alone(Prompt):
    """A kind of target each of whose keys answers for itself: the shop once it is let go, the others at once. Counts how often each was asked."""

    advice = "run it by hand"

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked: list[str] = []

    def ask(self, key: str, is_over: Callable[[], bool]) -> TargetState | AdapterError:
        self.asked.append(key)
        if key == SHOP:
            poll(lambda: self.let_go.is_set() or is_over(), within=60)
        return TargetState(key, "v1")

    def check(self, keys: Sequence[str], is_over: Callable[[], bool] = lambda: False) -> tuple[str, ...]:
        return ()


OTHER = "command:other"


@pytest.fixture
def alone() -> Iterator[Alone]:
    kind = Alone()
    yield kind
    kind.let_go.set()


@pytest.fixture
def each(alone: Alone) -> Iterator[Surveyor]:
    surveyor = Surveyor({"command": alone}, patience=0.1 * SECOND)
    yield surveyor
    surveyor.close()


def test_a_target_that_hangs_leaves_the_others_of_its_kind_seen(each):
    poll(lambda: each.survey((SHOP, OTHER), T0).states[OTHER] == TargetState(OTHER, "v1"), within=20)


def test_a_target_that_hangs_is_not_seen_and_says_what_to_do(each):
    late = each.survey((SHOP, OTHER), T0).states[SHOP]
    assert isinstance(late, Transient)
    assert str(late) == "command:shop did not answer in time; what was known of it stands; run it by hand"


def test_a_target_that_hangs_is_not_asked_again_meanwhile(each, alone):
    for _ in range(5):
        each.survey((SHOP, OTHER), T0)
    assert alone.asked.count(SHOP) == 1


def test_the_late_answer_of_a_target_is_told_once_as_of_its_own_slot(each, alone):
    asked = each.survey((SHOP,), T0)
    alone.let_go.set()
    later = []
    poll(lambda: later.append(each.survey((SHOP, OTHER), T0 + 15 * SECOND)) or later[-1].former, within=20)
    assert later[-1].former == (Survey(asked.began, T0, {SHOP: TargetState(SHOP, "v1")}),)
    assert each.survey((SHOP,), T0 + 30 * SECOND).former == ()


def test_a_target_that_hung_and_failed_is_asked_again_and_no_more_waited_for(each, alone, monkeypatch):
    monkeypatch.setattr(alone, "ask", lambda key, is_over: (Alone.ask(alone, key, is_over), Transient("killed"))[key == SHOP])
    each.survey((SHOP,), T0)
    alone.let_go.set()
    poll(lambda: each.survey((), T0) and each._late[0].answer.done(), within=20)
    alone.let_go.clear()
    each._patience = 600.0
    again = each.survey((SHOP, OTHER), T0 + 15 * SECOND)
    assert (again.states[OTHER], type(again.states[SHOP])) == (TargetState(OTHER, "v1"), Transient)
    assert alone.asked.count(SHOP) == 2


def test_a_bug_in_reading_one_target_makes_no_other_of_its_kind_unreadable():
    class Worse(Alone):
        def ask(self, key: str, is_over: Callable[[], bool]) -> TargetState | AdapterError:
            if key == SHOP:
                raise RecursionError("too deep")
            return super().ask(key, is_over)

    surveyor = Surveyor({"command": Worse()}, patience=20 * SECOND)
    found = surveyor.survey((SHOP, OTHER), T0).states
    surveyor.close()
    assert found[OTHER] == TargetState(OTHER, "v1")
    assert str(found[SHOP]).startswith("asking command:shop how it stands failed by a bug of rollbackd (RecursionError)")


def test_a_command_that_hangs_costs_its_own_target_alone_and_ends_with_the_surveyor(tmp_path: Path):
    script = f"sleep 1000 & echo $! > '{tmp_path}/new'; mv '{tmp_path}/new' '{tmp_path}/pid'; wait"
    hangs = CommandSpec(("/bin/sh", "-c", script), ("/bin/true", "{revision}"), timeout=timedelta(seconds=50))
    quick = CommandSpec(("/bin/echo", "v1"), ("/bin/true", "{revision}"))
    surveyor = Surveyor({"command": Command({"shop": hangs, "other": quick})}, patience=0.5 * SECOND)
    try:
        poll(lambda: surveyor.survey((SHOP, OTHER), T0).states[OTHER] == TargetState(OTHER, "v1"), within=20)
        late = surveyor.survey((SHOP, OTHER), T0).states[SHOP]
        assert str(late) == "command:shop did not answer in time; what was known of it stands; run its 'describe' by hand"
        poll((tmp_path / "pid").exists, within=20)
    finally:
        surveyor.close()
    poll(lambda: has_ended(int((tmp_path / "pid").read_text())), within=20)


def has_ended(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "State:\tZ" in status.read_text()
