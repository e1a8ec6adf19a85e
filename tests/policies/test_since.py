"""From when on evidence counts: never from before the newest change, whoever made it."""

from dataclasses import replace
from datetime import datetime

from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Closed, CloseHow
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident, Mended
from rollbackd.policies.watching.since import evidence_since, mended
from tests.policies.literals import CALM, EVERY, FLAGS, FLIP, HOUR, MINUTE, POLICY, RELEASE, T0, TARGET, verifying

SETTLED = T0 + 6 * MINUTE


def ours(target: str, at: datetime) -> Change:
    """A write of rollbackd that came to light at this moment."""
    return replace(FLIP, target=target, id=f"{target}@{at}", started_early=at - EVERY, started_late=at, first_seen=at, ours=True)


def since(incident: Incident | None, *changes: Change, fleet: Fleet = CALM) -> datetime | None:
    return evidence_since(POLICY, incident, (RELEASE, *changes), fleet, T0 + HOUR)[0]


def test_after_the_incidents_own_write_it_begins_when_that_has_settled_and_not_at_the_sight_of_it():
    assert since(verifying(SETTLED), ours(TARGET, SETTLED + EVERY)) == SETTLED


def test_what_another_incident_wrote_meanwhile_begins_it_anew():
    assert since(verifying(SETTLED), ours(TARGET, SETTLED + EVERY), ours(FLAGS, SETTLED + 2 * MINUTE)) == SETTLED + 2 * MINUTE


def test_where_nothing_has_settled_every_write_begins_it_anew():
    unsettled = replace(verifying(SETTLED), evidence_from=None)
    assert since(unsettled, ours(TARGET, SETTLED + EVERY)) == SETTLED + EVERY


WRITTEN = verifying(SETTLED).accepted[-1].at
CLOSED = Closed("inc-1", SETTLED + 5 * MINUTE, CloseHow.RECOVERED, "healthy for 5m0s")


def test_what_an_incident_mended_stays_mended_once_it_is_closed_also_for_a_policy_that_has_no_eye_on_it():
    fleet = replace(CALM, mended=mended((verifying(SETTLED, 1, CLOSED),)))
    assert since(None, fleet=fleet) == SETTLED
    assert since(None, ours(FLAGS, SETTLED + MINUTE), fleet=fleet) == SETTLED + MINUTE
    assert since(None, fleet=replace(CALM, mended={FLAGS: Mended(SETTLED, WRITTEN)})) == T0  # of another target
    assert evidence_since(POLICY, None, (RELEASE,), fleet, WRITTEN - MINUTE)[0] == T0  # not yet: at a start past slots are judged too


def test_what_was_written_and_has_not_settled_when_its_incident_is_closed_is_waited_for_by_all():
    fleet = replace(CALM, mended=mended((verifying(SETTLED, 1, CLOSED),)))
    assert evidence_since(POLICY, None, (RELEASE,), fleet, WRITTEN)[0] == SETTLED


def test_the_newest_incident_of_a_target_counts():
    both = verifying(SETTLED, 1, CLOSED), verifying(SETTLED + HOUR), verifying(SETTLED - MINUTE)
    assert mended(both) == {TARGET: Mended(SETTLED + HOUR, WRITTEN)}


def test_a_write_that_never_settled_counts_from_the_closing():
    closed = verifying(SETTLED, 1, CLOSED)
    assert mended((replace(closed, evidence_from=None),)) == {TARGET: Mended(CLOSED.at, WRITTEN)}
    assert mended((replace(closed, evidence_from=None, accepted=()),)) == {}
