"""The one write of a plan, and where the rule stands relative to it."""

from rollbackd.adapters.aws import fenced
from rollbackd.adapters.aws.alb.actions import Rule, name_of, shares, spelled, weights_of
from rollbackd.adapters.aws.alb.capacity import strength
from rollbackd.adapters.aws.alb.counts import Counts
from rollbackd.adapters.aws.alb.place import Place
from rollbackd.adapters.aws.alb.planning import recorded, written
from rollbackd.adapters.aws.alb.reading import Reader
from rollbackd.adapters.aws.failures import Gone
from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.target import Intent, Sight, Standing

_JUDGE = "Look at the rule; judge what stands there now."


def apply(reader: Reader, counts: Counts, place: Place, intent: Intent, begun: float | None = None) -> None:
    """See Target.apply. All that it needs is in the intent, so that one out of the journal is as good. ``begun``: see Plan."""
    recorded(intent, "before")  # a record without the prior actions could not be undone
    rule = reader.rule(place)
    after = recorded(intent, "after")
    if rule.named(after) != intent.to_revision:
        raise Refused(f"{place} is another rule than the one that was planned for. Nothing was changed.", advice=_JUDGE)
    call, parameters = written(rule, after)
    try:
        fenced.write(reader.caller, call, intent.incident, lambda: _refuse_moved(reader.rule(place), place, intent), begun=begun, **parameters)
    finally:
        counts.sent(intent)  # a write whose answer was lost may have arrived too


def _refuse_moved(rule: Rule, place: Place, intent: Intent) -> None:
    if rule.revision != intent.from_revision:
        what = f"{place} stands at {rule.revision} and no longer at {intent.from_revision}"
        raise Refused(f"{what}. Nothing was changed.", advice=_JUDGE)


def look(reader: Reader, counts: Counts, place: Place, intent: Intent) -> Sight:
    """See Target.look. Done is what request counts prove, or cannot; whether the group copes with the traffic, the metrics say.

    A rule that is gone is ELSEWHERE.
    """
    try:
        rule = reader.rule(place)
    except Gone as fault:
        return Sight(Standing.ELSEWHERE, f"{fault} Another writer took it away.", "")
    if rule.revision == intent.to_revision:
        return _there(reader, counts, rule, intent)
    if rule.revision == intent.from_revision:
        return Sight(Standing.BEFORE, f"still at {rule.revision}", rule.revision)
    what = f"neither as before the intent nor as planned: another writer has put {rule.revision} there"
    return Sight(Standing.ELSEWHERE, what, rule.revision)


def _there(reader: Reader, counts: Counts, rule: Rule, intent: Intent) -> Sight:
    for arn in shares(weights_of(rule.actions)):
        found = strength(reader.health(arn))
        if not found.healthy:
            reason = f"the weights are there, but no target of {name_of(arn)} is healthy ({found.why or 'it has none'})"
            return Sight(Standing.FAILED, reason, rule.revision)
    proof = counts.proof(reader.caller, rule, intent)
    standing = Standing.THERE if proof.is_over else Standing.UNDERWAY
    return Sight(standing, f"weights {spelled(rule.actions)}; {proof.reason}", rule.revision)
