from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import How, SeenChange, Standing
from tests.controller.journal_samples import CART, CHECKOUT, HOUR, MINUTE, T0, change


def test_a_change_is_written_once_and_read_back_as_it_was_first_seen(store: Store) -> None:
    first = SeenChange(replace(change("uid/7", "rev-b", "uid/6"), parts=("new-cart",)), {"new-cart": {"on": True}}, "alice")
    late = replace(first, change=replace(first.change, first_seen=T0 + MINUTE), writer="bob")
    with store.transaction() as tx:
        assert tx.see_change(first) == first
        assert tx.see_change(late) == first
    assert store.changes() == (first,)
    assert [entry.body["writer"] for entry in store.history(10)] == ["alice"]


def test_replicas_that_make_their_own_id_of_first_sight_all_get_the_first_row(store: Store) -> None:
    mine = SeenChange(change("rev-b@03:00:00", "rev-b", "rev-a@02:00:00"), dated=True)
    theirs = SeenChange(change("rev-b@03:00:01", "rev-b", "rev-a@02:00:00"), dated=True)
    with store.transaction() as tx:
        tx.see_change(mine)
        assert tx.see_change(theirs) == mine
    assert store.changes() == (mine,)


def test_the_first_sight_of_a_target_collides_too(store: Store) -> None:
    mine = SeenChange(change("rev-a@03:00:00", "rev-a"), dated=True)
    with store.transaction() as tx:
        tx.see_change(mine)
        assert tx.see_change(SeenChange(change("rev-a@03:00:01", "rev-a"), dated=True)) == mine


def test_a_target_with_a_history_may_come_to_the_same_revision_again(store: Store) -> None:
    with store.transaction() as tx:
        tx.see_change(SeenChange(change("uid/7", "rev-b", "uid/6")))
        tx.see_change(SeenChange(change("uid/9", "rev-b", "uid/6")))
    assert [seen.change.id for seen in store.changes()] == ["uid/7", "uid/9"]


def test_a_dated_target_may_come_to_the_same_revision_after_another_one(store: Store) -> None:
    steps = (("1", "on", None), ("2", "off", "1"), ("3", "on", "2"))
    with store.transaction() as tx:
        for name, revision, predecessor in steps:
            tx.see_change(SeenChange(change(name, revision, predecessor), dated=True))
    assert [seen.change.id for seen in store.changes()] == ["1", "2", "3"]


def test_what_a_replica_with_a_late_clock_sees_first_is_dated_after_what_is_known_of_its_target(store: Store) -> None:
    late = change("2", "off", "1", seen=T0 - MINUTE)
    with store.transaction() as tx:
        tx.see_change(SeenChange(change("1", "on")))
        tx.see_change(SeenChange(change("a", "on", target=CART, seen=T0 - MINUTE)))
        dated = tx.see_change(SeenChange(late))
        assert tx.see_change(SeenChange(late)) == dated
    assert [(seen.change.id, seen.change.first_seen - T0) for seen in store.changes()] == [
        ("a", -MINUTE),
        ("1", 0 * MINUTE),
        ("2", timedelta(microseconds=1)),
    ]
    assert dated.change == replace(late, first_seen=T0 + timedelta(microseconds=1))  # when it happened is left as it is
    assert store.history(1)[0].at == dated.change.first_seen


def test_readiness_that_comes_later_completes_the_change_and_the_first_one_stays(store: Store) -> None:
    seen = SeenChange(change("uid/7", "rev-b"))
    with store.transaction() as tx:
        tx.see_change(seen)
        ready = tx.see_change(replace(seen, change=replace(seen.change, ready=T0 + MINUTE)))
        again = tx.see_change(replace(seen, change=replace(seen.change, ready=T0 + HOUR)))
    assert ready.change.ready == T0 + MINUTE
    assert again == ready
    assert store.changes() == (ready,)
    assert store.made_irreversible(0)[1] == ()


def test_a_revision_whose_images_are_resolved_later_is_the_same_change_by_its_full_name(store: Store) -> None:
    unresolved = SeenChange(change("uid/7", "api:3@unresolved"), {"image app": "api:next"})
    resolved = SeenChange(change("uid/7", "api:3@4f1c"), {"image app": "api:next@sha256:12"})
    with store.transaction() as tx:
        tx.see_change(unresolved)
        assert tx.see_change(resolved) == resolved
        assert tx.see_change(unresolved) == resolved
    assert store.changes() == (resolved,)


def test_what_claims_to_be_a_known_change_and_has_another_revision_changes_nothing(store: Store) -> None:
    first = SeenChange(change("uid/7", "api:3@unresolved"))
    with store.transaction() as tx:
        tx.see_change(first)
        assert tx.see_change(SeenChange(change("uid/7", "api:31@4f1c"))) == first


def test_what_is_found_irreversible_later_is_on_record_once(store: Store) -> None:
    seen = SeenChange(change("uid/7", "rev-b"))
    with store.transaction() as tx:
        tx.see_change(seen)
        stops = tx.see_change(replace(seen, change=replace(seen.change, irreversible="drops a table")))
        tx.see_change(replace(seen, change=replace(seen.change, irreversible="something else")))
    assert [entry.kind for entry in store.history(10)] == ["change.irreversible", "change.seen"]
    assert store.made_irreversible(0) == (2, (stops,))
    assert store.made_irreversible(2) == (2, ())
    assert store.made_irreversible(9) == (2, (stops,))  # a failover lost the rows since


def test_changes_are_asked_for_by_target_and_time(store: Store) -> None:
    with store.transaction() as tx:
        tx.see_change(SeenChange(change("old", "a", target=CHECKOUT, seen=T0 - HOUR)))
        tx.see_change(SeenChange(change("new", "b", target=CHECKOUT)))
        tx.see_change(SeenChange(change("other", "c", target=CART)))
    assert [seen.change.id for seen in store.changes([CHECKOUT])] == ["old", "new"]
    assert [seen.change.id for seen in store.changes(since=T0)] == ["new", "other"]
    assert [seen.change.id for seen in store.changes([])] == []


def test_the_latest_change_of_a_target_is_not_one_that_was_merely_posted(store: Store) -> None:
    with store.transaction() as tx:
        tx.see_change(SeenChange(change("real", "a")))
        tx.see_change(SeenChange(replace(change("posted", "b"), posted=True)))
    assert {target: seen.change.id for target, seen in store.latest_changes().items()} == {CHECKOUT: "real"}


def test_more_targets_than_one_statement_takes_are_asked_for_in_turn(store: Store) -> None:
    with store.transaction() as tx:
        tx.see_change(SeenChange(change("real", "a")))
    assert len(store.changes([*(f"target-{number}" for number in range(1200)), CHECKOUT])) == 1


def test_known_goods_come_newest_served_first_without_the_bad_and_the_old(store: Store) -> None:
    with store.transaction() as tx:
        tx.mark(CHECKOUT, "old", Standing.GOOD, How.BAKED, T0 - 9 * 24 * HOUR)
        tx.mark(CHECKOUT, "first", Standing.GOOD, How.BAKED, T0 - 3 * HOUR)
        tx.mark(CHECKOUT, "second", Standing.GOOD, How.DECLARED, T0 - 2 * HOUR)
        tx.mark(CHECKOUT, "poor", Standing.BAD, How.DECLARED, T0)
        tx.mark(CHECKOUT, "undone", Standing.QUARANTINED, How.ROLLED_BACK, T0)
        tx.served(CHECKOUT, "first", T0 - HOUR)
    assert [known.revision for known in store.good(CHECKOUT, T0 - 7 * 24 * HOUR)] == ["first", "second"]
    assert [known.revision for known in store.ledger(CHECKOUT)] == ["poor", "undone", "first", "second", "old"]
    assert store.quarantined() == {(CHECKOUT, "undone")}


@pytest.mark.parametrize(
    ("before", "standing", "how", "moves"),
    [
        pytest.param(Standing.GOOD, Standing.GOOD, How.BAKED, False, id="good-stays-good"),
        pytest.param(Standing.GOOD, Standing.BAD, How.DECLARED, True, id="good-may-turn-bad"),
        pytest.param(Standing.GOOD, Standing.QUARANTINED, How.ROLLED_BACK, True, id="good-may-be-rolled-back"),
        pytest.param(Standing.BAD, Standing.GOOD, How.BAKED, False, id="bad-does-not-bake-into-good"),
        pytest.param(Standing.BAD, Standing.GOOD, How.DECLARED, True, id="bad-may-be-declared-good"),
        pytest.param(Standing.BAD, Standing.QUARANTINED, How.ROLLED_BACK, True, id="bad-may-be-rolled-back"),
        pytest.param(Standing.QUARANTINED, Standing.GOOD, How.DECLARED, False, id="quarantine-is-not-declared-away"),
        pytest.param(Standing.QUARANTINED, Standing.BAD, How.DECLARED, False, id="quarantine-is-not-weakened"),
    ],
)
def test_a_standing_changes_only_where_it_may(store: Store, before: Standing, standing: Standing, how: How, moves: bool) -> None:
    with store.transaction() as tx:
        assert tx.mark(CHECKOUT, "rev", before, How.DECLARED, T0)
        assert tx.mark(CHECKOUT, "rev", standing, how, T0 + HOUR) is moves
    assert store.ledger(CHECKOUT)[0].standing is (standing if moves else before)
    assert len(store.history(10)) == (2 if moves else 1)


@pytest.mark.parametrize("standing", [Standing.GOOD, Standing.QUARANTINED])
def test_a_revision_that_nobody_can_tell_from_the_next_one_has_no_standing(store: Store, standing: Standing) -> None:
    with store.transaction() as tx:
        assert not tx.mark(CHECKOUT, "api:3@unresolved", standing, How.ROLLED_BACK, T0)
        assert tx.mark(CHECKOUT, "api:3@4f1c", standing, How.ROLLED_BACK, T0)
        assert [known.revision for known in tx.ledger(CHECKOUT)] == ["api:3@4f1c"]


def test_declaring_a_good_revision_again_makes_it_young(store: Store) -> None:
    with store.transaction() as tx:
        tx.mark(CHECKOUT, "rev", Standing.GOOD, How.BAKED, T0)
        tx.mark(CHECKOUT, "rev", Standing.GOOD, How.DECLARED, T0 + HOUR)
    assert store.ledger(CHECKOUT)[0].last_at == T0 + HOUR


def test_rearm_takes_a_revision_out_of_quarantine_on_record(store: Store) -> None:
    with store.transaction() as tx:
        tx.mark(CHECKOUT, "rev", Standing.QUARANTINED, How.ROLLED_BACK, T0)
        assert tx.rearm(CHECKOUT, "rev", "alice", T0)
        assert not tx.rearm(CHECKOUT, "rev", "alice", T0)
    assert store.ledger(CHECKOUT) == ()
    assert store.history(1)[0].body == {"revision": "rev", "who": "alice"}
