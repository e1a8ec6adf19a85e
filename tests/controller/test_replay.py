"""What a backtest decides from readings alone, without a source."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.controller.backtest.cases import Found, GivenChange
from rollbackd.controller.backtest.replay import Replay
from rollbackd.controller.backtest.spans import windows_of
from rollbackd.policies.model.policy import Bound, For, RevertRung
from tests.policies.literals import ERRORS, HOUR, MINUTE, POLICY, T0, TARGET, counts, slots

CHANGE = GivenChange(1, TARGET, T0, revision="v2")


def found_of(others: int, confirm: For) -> Found:
    """What is found of a release whose requests all fail, beside so many targets that are well."""
    own = replace(POLICY, conditions=(replace(ERRORS, confirm=confirm, bound=Bound(0.01)),), ladder=(RevertRung(TARGET),))
    peers = [replace(own, name=f"peer{number}", target=f"{TARGET}{number}", ladder=(RevertRung(f"{TARGET}{number}"),)) for number in range(others)]
    policies = [own, *peers]
    replay = Replay(policies, [CHANGE], {one.name: windows_of(one, [CHANGE]) for one in policies})
    for at in slots(T0 - HOUR, T0 + 5 * MINUTE):
        bad = {own.name: 20 if at > T0 else 0}
        replay.slot(at, {one.name: (counts(at, bad.get(one.name, 0), 20),) for one in policies})
    (found,) = replay.ways[0].found.values()
    return found


@pytest.mark.parametrize("others", [0, 2], ids=["alone", "beside-others"])
@pytest.mark.parametrize("confirm", [timedelta(0), MINUTE], ids=["at-once", "after-a-minute"])
def test_it_acts_in_the_slot_in_which_a_breach_is_confirmed(others, confirm):
    """The first block since the release is proof. Who is alone was looked at in its own slot too, and waits for nobody."""
    found = found_of(others, For(confirm))
    assert (found.word, found.onset, found.at) == ("rollback", T0 + MINUTE, T0 + MINUTE + confirm)


def test_a_change_comes_to_light_in_the_slots_of_those_who_look_at_its_target():
    own, peer = POLICY, replace(POLICY, name="peer", target=f"{TARGET}0", ladder=())
    replay = Replay([own, peer], [CHANGE], {one.name: windows_of(one, [CHANGE]) for one in (own, peer)})
    replay.slot(T0 + MINUTE, {"peer": (counts(T0 + MINUTE, 0, 20),)})
    assert replay.of([TARGET]) == ()
    replay.slot(T0 + 2 * MINUTE, {own.name: (counts(T0 + 2 * MINUTE, 0, 20),)})
    assert [change.first_seen for change in replay.of([TARGET])] == [T0 + 2 * MINUTE]
