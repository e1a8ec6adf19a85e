"""From when on evidence counts: never from before the newest change, whoever made it."""

from dataclasses import replace
from datetime import datetime

from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.watching.since import evidence_since
from tests.policies.literals import EVERY, FLAGS, FLIP, HOUR, MINUTE, POLICY, RELEASE, T0, TARGET, verifying

SETTLED = T0 + 6 * MINUTE


def ours(target: str, at: datetime) -> Change:
    """A write of rollbackd that came to light at this moment."""
    return replace(FLIP, target=target, id=f"{target}@{at}", started_early=at - EVERY, started_late=at, first_seen=at, ours=True)


def since(incident: Incident | None, *changes: Change) -> datetime | None:
    return evidence_since(POLICY, incident, (RELEASE, *changes), T0 + HOUR)[0]


def test_after_the_incidents_own_write_it_begins_when_that_has_settled_and_not_at_the_sight_of_it():
    assert since(verifying(SETTLED), ours(TARGET, SETTLED + EVERY)) == SETTLED


def test_what_another_incident_wrote_meanwhile_begins_it_anew():
    assert since(verifying(SETTLED), ours(TARGET, SETTLED + EVERY), ours(FLAGS, SETTLED + 2 * MINUTE)) == SETTLED + 2 * MINUTE


def test_where_nothing_has_settled_every_write_begins_it_anew():
    unsettled = replace(verifying(SETTLED), evidence_from=None)
    assert since(unsettled, ours(TARGET, SETTLED + EVERY)) == SETTLED + EVERY
