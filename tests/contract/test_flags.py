"""What every kind of feature flags promises, beside what every Target does."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest, Standing, Target, TargetState
from tests.contract.flag_stages import FLAG_STAGES, FlagStage
from tests.contract.flag_vendors import FLAG_VENDORS
from tests.servers import poll


@pytest.fixture(params=[*FLAG_STAGES, *FLAG_VENDORS], ids=lambda stage: stage.__name__)
def stage(request: pytest.FixtureRequest) -> FlagStage:
    made = request.param(request)
    assert isinstance(made, FlagStage)
    return made


def target_of(stage: FlagStage, safe: Mapping[str, str] | None = None, *, most: int = 20) -> Target:
    return stage.target(safe or {}, most)


def seen(target: Target, key: str) -> TargetState:
    state = target.survey([key])[key]
    assert isinstance(state, TargetState), state
    return state


def asked(target: Target, key: str, *, only: tuple[str, ...] | None = None, undo: Intent | None = None) -> PlanRequest:
    return PlanRequest(key, "inc-1", seen(target, key).revision, only=only, undo=undo)


def planned(target: Target, key: str, *, only: tuple[str, ...] | None = None, undo: Intent | None = None) -> Plan:
    plan = target.plan(asked(target, key, only=only, undo=undo))
    assert isinstance(plan, Plan), plan
    return plan


def carried_out(target: Target, plan: Plan) -> None:
    """The plan is written, and applications are served it."""
    target.apply(plan)
    poll(lambda: target.look(plan.intent).standing is Standing.THERE)


def comes_to_serve(stage: FlagStage, flags: Mapping[str, bool]) -> None:
    """Applications are served these flags, at the latest once the provider's own cache has been renewed."""
    poll(lambda: stage.served() == flags)


def test_a_tag_names_its_flags_and_no_others(stage: FlagStage) -> None:
    state = seen(target_of(stage), f"{stage.place}/{stage.checkout}")
    assert set(state.parts) == {"new-cart", "new-search", "old-cart"}


def test_a_list_names_its_flags_in_any_order(stage: FlagStage) -> None:
    target = target_of(stage)
    one, other = seen(target, f"{stage.place}/flags:banner,new-cart"), seen(target, f"{stage.place}/flags:new-cart,banner")
    assert set(one.parts) == {"banner", "new-cart"}
    assert one.revision == other.revision


def test_all_names_every_flag(stage: FlagStage) -> None:
    assert set(seen(target_of(stage), f"{stage.place}/all").parts) == {"new-cart", "new-search", "banner", "old-cart"}


@pytest.mark.parametrize("scope", ["tag:nobody", "flags:new-cart,gone"])
def test_a_scope_that_matches_nothing_is_refused_and_never_everything(stage: FlagStage, scope: str) -> None:
    target, before = target_of(stage), stage.content()
    assert isinstance(target.survey([f"{stage.place}/{scope}"])[f"{stage.place}/{scope}"], Refused)
    with pytest.raises(Refused):
        target.plan(PlanRequest(f"{stage.place}/{scope}", "inc-1", "any"))
    assert stage.content() == before


def test_switching_a_flag_changes_the_revision_of_its_scope_only(stage: FlagStage) -> None:
    target = target_of(stage)
    mine, others = f"{stage.place}/{stage.checkout}", f"{stage.place}/flags:banner"
    before = {key: seen(target, key).revision for key in (mine, others)}
    stage.switch("banner", False)
    assert seen(target, mine).revision == before[mine]
    assert seen(target, others).revision != before[others]


def test_the_flags_in_scope_go_off_and_applications_are_served_it(stage: FlagStage) -> None:
    target = target_of(stage)
    plan = planned(target, f"{stage.place}/{stage.checkout}")
    assert set(plan.intent.record["after"]) == {"new-cart", "new-search"}  # type: ignore[arg-type]  # a mapping
    carried_out(target, plan)
    comes_to_serve(stage, {"new-cart": False, "new-search": False, "banner": True, "old-cart": False})


def test_only_what_changed_goes_off(stage: FlagStage) -> None:
    target = target_of(stage)
    carried_out(target, planned(target, f"{stage.place}/{stage.checkout}", only=("new-cart",)))
    comes_to_serve(stage, {"new-cart": False, "new-search": True, "banner": True, "old-cart": False})


def test_a_flag_that_is_safe_when_on_goes_on(stage: FlagStage) -> None:
    target = target_of(stage, {"old-cart": "on"})
    carried_out(target, planned(target, f"{stage.place}/flags:new-cart,old-cart"))
    comes_to_serve(stage, {"new-cart": False, "new-search": True, "banner": True, "old-cart": True})


def test_a_flag_that_is_to_be_left_is_left_and_named(stage: FlagStage) -> None:
    target = target_of(stage, {"new-cart": "leave"})
    plan = planned(target, f"{stage.place}/{stage.checkout}")
    assert set(plan.intent.record["after"]) == {"new-search"}  # type: ignore[arg-type]  # a mapping
    assert "flag 'new-cart' stays as it is: its declared safe state is 'leave'" in plan.not_undone


def test_a_change_of_a_flag_that_is_to_be_left_is_refused(stage: FlagStage) -> None:
    target = target_of(stage, {"new-cart": "leave"})
    with pytest.raises(Refused, match="'new-cart' stays as it is"):
        target.plan(asked(target, f"{stage.place}/{stage.checkout}", only=("new-cart",)))


def test_more_flags_than_the_cap_are_refused_with_the_numbers(stage: FlagStage) -> None:
    target, before = target_of(stage, most=2), stage.content()
    assert planned(target, f"{stage.place}/{stage.checkout}")
    with pytest.raises(Refused, match="3 flags would change, at most 2 may"):
        target.plan(asked(target, f"{stage.place}/all"))
    assert any("4 flags in scope, at most 2" in line for line in target.check([f"{stage.place}/all"]))
    assert stage.content() == before


def test_flags_at_their_safe_states_leave_nothing_to_do(stage: FlagStage) -> None:
    target = target_of(stage)
    assert isinstance(target.plan(asked(target, f"{stage.place}/flags:old-cart")), NothingToDo)


def test_a_flag_that_a_person_switched_meanwhile_stops_the_whole_write(stage: FlagStage) -> None:
    target = target_of(stage)
    plan = planned(target, f"{stage.place}/{stage.checkout}")
    stage.switch("new-cart", False)
    theirs = stage.content()
    with pytest.raises(Refused, match="'new-cart'"):
        target.apply(plan)
    assert stage.content() == theirs


def test_a_flag_outside_the_plan_that_a_person_switched_meanwhile_is_kept(stage: FlagStage) -> None:
    target = target_of(stage)
    plan = planned(target, f"{stage.place}/{stage.checkout}", only=("new-cart",))
    stage.switch("new-search", False)
    carried_out(target, plan)
    comes_to_serve(stage, {"new-cart": False, "new-search": False, "banner": True, "old-cart": False})


def test_undo_puts_everything_back_exactly(stage: FlagStage) -> None:
    target, before = target_of(stage, {"old-cart": "on"}), stage.content()
    key = f"{stage.place}/{stage.checkout}"
    plan = planned(target, key)
    carried_out(target, plan)
    kept = replace(plan.intent, record=json.loads(json.dumps(plan.intent.record)))
    carried_out(target, planned(target, key, undo=kept))
    assert stage.content() == before
    comes_to_serve(stage, {"new-cart": True, "new-search": True, "banner": True, "old-cart": False})


def test_undo_leaves_a_flag_that_was_touched_since_and_names_it(stage: FlagStage) -> None:
    target, key = target_of(stage, {"old-cart": "on"}), f"{stage.place}/{stage.checkout}"
    first = planned(target, key)
    carried_out(target, first)
    stage.switch("old-cart", False)  # as it was before: nothing is left to undo there
    stage.switch("new-search", True)
    undo = planned(target, key, undo=first.intent)
    assert set(undo.intent.record["after"]) == {"new-cart"}  # type: ignore[arg-type]  # a mapping
    carried_out(target, undo)
    comes_to_serve(stage, {"new-cart": True, "new-search": True, "banner": True, "old-cart": False})


def test_an_undo_of_what_was_undone_by_hand_leaves_nothing_to_do(stage: FlagStage) -> None:
    target, key = target_of(stage), f"{stage.place}/flags:new-cart"
    first = planned(target, key)
    carried_out(target, first)
    stage.switch("new-cart", True)
    assert isinstance(target.plan(asked(target, key, undo=first.intent)), NothingToDo)


def test_a_change_by_a_person_is_known_by_its_id_time_flag_and_writer_where_a_history_is_kept(stage: FlagStage) -> None:
    target, key = target_of(stage), f"{stage.place}/{stage.checkout}"
    stage.switch("new-cart", False)
    state = seen(target, key)
    if not stage.has_history:
        assert (state.change_id, state.started, state.touched, state.writer) == (None, None, (), None)
        return
    assert state.change_id
    assert state.started is not None
    assert state.started.early == state.started.late == state.ready
    assert state.touched == ("new-cart",)
    assert state.writer is not None
    assert not state.writer.startswith("rollbackd:")


def test_each_switch_is_a_change_of_its_own_where_a_history_is_kept(stage: FlagStage) -> None:
    target, key = target_of(stage), f"{stage.place}/flags:new-cart"
    first = seen(target, key)
    stage.switch("new-cart", False)
    stage.switch("new-cart", True)
    again = seen(target, key)
    assert again.revision == first.revision
    assert (again.change_id != first.change_id) is stage.has_history


def test_a_write_of_ours_is_known_as_ours_where_a_history_is_kept(stage: FlagStage) -> None:
    target, key = target_of(stage), f"{stage.place}/{stage.checkout}"
    carried_out(target, planned(target, key))
    state = seen(target, key)
    assert state.writer == ("rollbackd:inc-1" if stage.has_history else None)
