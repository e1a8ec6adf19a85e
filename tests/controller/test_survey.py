"""How targets are asked where one kind of them does not answer: it costs its own slots, and nobody else's."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.target import TargetState
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
