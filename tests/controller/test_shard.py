from dataclasses import replace
from pathlib import Path

import pytest

from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.journal.values import Note
from rollbackd.controller.replica import replica_name
from rollbackd.controller.shard import WHOLE, Shard, shard_of
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, World

TARGETS = [f"kubernetes:prod/shop/deployment/service-{number}" for number in range(1000)]


def test_every_target_is_of_exactly_one_part() -> None:
    parts = [Shard(number, 5) for number in range(5)]
    assert {sum(part.has(target) for part in parts) for target in TARGETS} == {1}


def test_the_parts_are_of_about_the_same_size() -> None:
    sizes = [sum(Shard(number, 5).has(target) for target in TARGETS) for number in range(5)]
    assert min(sizes) > 150


def test_a_target_is_of_the_same_part_for_ever() -> None:
    assert [number for number in range(5) if Shard(number, 5).has("kubernetes:prod/shop/deployment/checkout")] == [0]


def test_a_part_is_written_as_number_and_count() -> None:
    assert (shard_of("2/5"), shard_of("0/1")) == (Shard(2, 5), WHOLE)


@pytest.mark.parametrize("text", ["5/5", "2", "a/b", "/5", "-1/5", "0/0", "1/2/3"])
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="expected NUMBER/COUNT such as 2/5"):
        shard_of(text)


def part(*, has_shop: bool) -> Settings:
    """The half of all targets in which the shop is, or the other one."""
    return Settings(shard=next(Shard(number, 2) for number in range(2) if Shard(number, 2).has(SHOP) is has_shop))


def test_another_daemons_targets_are_not_looked_at_and_its_incidents_are_left_alone(tmp_path: Path) -> None:
    mine = World(tmp_path, settings=part(has_shop=True))
    mine.slot(0)
    mine.good("v1")
    mine.deploy("v2")
    for _ in range(2):
        mine.slot(60)
    assert [incident.target for incident in mine.store.open_incidents()] == [SHOP]
    theirs = World(tmp_path, settings=part(has_shop=False), at=mine.at)
    before = mine.kinds()
    theirs.slot(60)
    assert (list(theirs.engine.policies), theirs.engine.spared, theirs.engine.standings, mine.kinds()) == ([], 1, {}, before)
    assert [incident.target for incident in theirs.engine.incidents] == [SHOP]  # its budgets are shared
    for world in (mine, theirs):
        world.close()


def test_breaches_of_other_parts_are_not_usual_here_after_a_restart_either(tmp_path: Path) -> None:
    mine = World(tmp_path, settings=part(has_shop=True))
    mine.slot(0)
    with mine.store.transaction() as tx:
        for target in (target for target in TARGETS[:20] if not mine.engine.settings.shard.has(target)):
            tx.note(Note("breach.unexplained", mine.at, {}, target), f"unexplained:{target}")
    mine.slot(0)
    mine.close()
    again = World(tmp_path, settings=part(has_shop=True), at=mine.at)
    again.slot(0)
    assert (mine.engine.usual.known.total, again.engine.usual.known.total) == (0.0, 0.0)
    again.close()


def test_a_policy_that_this_replica_has_not_read_yet_is_waited_for_before_its_incident_is_held(tmp_path: Path) -> None:
    early = World(tmp_path)
    early.slot(0)
    early.good("v1")
    early.deploy("v2")
    for _ in range(2):
        early.slot(60)
    late = World(tmp_path, replace(SHOP_POLICY, name="other"), settings=Settings(orphans_after=3 * EVERY), at=early.at)
    for _ in range(3):
        late.slot(0, policies=("other",))
        assert late.guards() == []
    late.slot(0, policies=("other",))
    assert late.guards() == ["policy-removed"]
    for world in (early, late):
        world.close()


def test_a_replica_keeps_its_name_and_shares_it_with_nobody(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    one, two = (replica_name(folder / "replica", "node-7") for folder in (tmp_path, tmp_path / "two"))
    assert (one, two != one) == (replica_name(tmp_path / "replica", "node-7"), True)
    assert one.startswith("node-7-")


def test_a_name_that_was_emptied_is_no_name(tmp_path: Path) -> None:
    (tmp_path / "replica").write_text("")
    with pytest.raises(OSError, match="is empty; nothing was started"):
        replica_name(tmp_path / "replica", "node-7")
