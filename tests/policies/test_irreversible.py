"""What a revert may not cross without people: an irreversible change between what runs and where it would go."""

from dataclasses import replace

import pytest

from rollbackd.policies.blame.irreversible import crossed
from rollbackd.policies.decide.decisions import Offer
from rollbackd.policies.known.changes import Change
from rollbackd.policies.model.policy import FlagsRung
from tests.policies.literals import CALM, FLIP, HOUR, MINUTE, POLICY, RELEASE, T0, TARGET, counts, kinds, only, run

MIGRATION = Change(
    TARGET, "posted:schema", "schema-17", None, T0 - 5 * HOUR, T0 - 5 * HOUR, T0 - 5 * HOUR, posted=True, irreversible="drops a column"
)
LATER = T0 + 5 * MINUTE


def ran(revision, at):
    return replace(RELEASE, id=f"uid:{revision}", revision=revision, started_early=at, started_late=at, first_seen=at, ready=at)


BEFORE, AFTER = ran("good5", T0 - 6 * HOUR), ran("good6", T0 - 4 * HOUR)


def decided(goods, changes=(BEFORE, MIGRATION, AFTER, RELEASE), policy=POLICY):
    fleet = replace(CALM, good={TARGET: goods})
    return run(policy, {LATER: counts(LATER, 60, 600)}, changes=changes, fleet=fleet).decisions


def test_a_revert_to_what_came_after_a_migration_is_the_machines():
    assert "Act" in kinds(decided(("good6", "good5")))


def test_a_revert_across_an_old_migration_is_put_to_people_and_names_it():
    offer = only(decided(("good5",)), Offer)
    assert offer.act.reason.startswith(f"change posted:schema of {TARGET} is irreversible (drops a column): a revert across it is yours to decide")


def test_a_flag_is_switched_whatever_lies_between():
    policy = replace(POLICY, ladder=(FlagsRung(FLIP.target), *POLICY.ladder[1:]))
    assert "Act" in kinds(decided(("good5",), (BEFORE, MIGRATION, RELEASE, FLIP), policy))


@pytest.mark.parametrize(
    ("revision", "changes", "expected"),
    [
        pytest.param("good5", (BEFORE, MIGRATION, AFTER), MIGRATION, id="from-before-it"),
        pytest.param("good6", (BEFORE, MIGRATION, AFTER), None, id="from-after-it"),
        pytest.param("good4", (MIGRATION, AFTER), MIGRATION, id="from-before-anybody-looked"),
        pytest.param("good5", (BEFORE, MIGRATION, replace(BEFORE, id="back", started_late=T0, ours=True)), None, id="people-went-back-to-it-since"),
        pytest.param("good6", (BEFORE, replace(AFTER, irreversible="drops a column")), None, id="the-release-that-migrates"),
        pytest.param("good5", (BEFORE, AFTER), None, id="nothing-is-irreversible"),
    ],
)
def test_a_revert_crosses(revision, changes, expected):
    assert crossed(TARGET, revision, changes) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param(("image app", "image migrate"), "Offer", id="the-migrating-container"),
        pytest.param(("annotation shop/schema", "image app"), "Offer", id="the-schemas-version"),
        pytest.param(("image app",), "Act", id="neither"),
    ],
)
def test_a_policy_knows_a_migration_by_what_changed_with_it(parts, expected):
    policy = replace(POLICY, migrations=("image migrate", "annotation shop/schema"))
    assert kinds(decided(("good6",), (replace(RELEASE, parts=parts),), policy))[-1] == expected


def test_the_page_names_what_told_the_migration():
    policy = replace(POLICY, migrations=("image migrate",))
    offer = only(decided(("good6",), (replace(RELEASE, parts=("image migrate",)),), policy), Offer)
    assert "is irreversible (image migrate changed with it: a migration)" in offer.act.reason
