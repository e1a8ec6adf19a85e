"""The one write of a plan: sent if a second look shows the service as it was planned for, and sent again only after a definite no.

ECS has no compare-and-set. Its place is taken by reading the service again right before the write, and by giving up if that took long.
"""

import time
from dataclasses import dataclass

from rollbackd.adapters.aws.ecs import definitions, objects
from rollbackd.adapters.aws.ecs.goals import goal
from rollbackd.adapters.aws.ecs.place import Place
from rollbackd.adapters.aws.ecs.planning import Move, Way, move_of, plan, update_to
from rollbackd.adapters.aws.ecs.reading import Reader, Seen
from rollbackd.adapters.aws.failures import Expired, Gone, Rejected, Throttled
from rollbackd.adapters.aws.fenced import BUDGET, FRESH, PAUSES
from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.target import Intent, Plan, PlanRequest

_JUDGE = "Look at the service; judge what runs now."


@dataclass(frozen=True, slots=True)
class Ready:
    """What is to be sent, and when the service was last seen as it was planned for."""

    move: Move
    looked_at: float


def apply(reader: Reader, place: Place, intent: Intent, begun: float | None = None) -> None:
    """See Target.apply. All that it needs is in the intent, so that one out of the journal is as good. ``begun``: see Plan."""
    if intent.record.get("way") == Way.VERIFY.value:
        return
    began, is_renewed = time.monotonic() if begun is None else begun, False
    for pause in (*PAUSES, None):
        reader.caller.prove(intent.incident)  # entering the account takes time that the second look must not grow old by
        ready = _ready(reader, place, intent)
        now = time.monotonic()
        if now - began > BUDGET.total_seconds() or (pause is None and now - ready.looked_at > FRESH.total_seconds()):
            what = f"{place}: Amazon answers so slowly that somebody may have been there since the last look"
            raise Refused(f"{what}. Nothing was changed.", advice="See why it answers slowly, then plan again.")
        if now - ready.looked_at <= FRESH.total_seconds():
            try:
                _send(reader, ready.move, intent)
            except Throttled:
                if pause is None:
                    raise
                # A definite no: nothing was done. The service is looked at again before the next try.
            except Expired:
                if pause is None or is_renewed:
                    raise
                is_renewed = True
            else:
                return
        reader.caller.sleep(pause or 0)


def _ready(reader: Reader, place: Place, intent: Intent) -> Ready:
    looked_at = time.monotonic()
    seen = reader.seen(place)
    _refuse_another(seen, intent)
    move = _recorded(reader, seen, intent)
    if move.way is Way.UPDATE:
        good = definitions.usable(reader, str(move.parameters["taskDefinition"]), update_to(seen, definitions.COPY).command(reader))
        arn = good.arn or definitions.register(reader, good.of, intent.incident)
        move = update_to(seen, arn)
        if good.arn is None:
            looked_at = time.monotonic()
            _refuse_another(reader.seen(place), intent)
    return Ready(move, looked_at)


def _refuse_another(seen: Seen, intent: Intent) -> None:
    """Raises Refused if the service is not the one, or not where, that the plan was made for."""
    if seen.service["createdAt"].isoformat() != intent.record.get("created", seen.service["createdAt"].isoformat()):
        raise Refused(f"{seen.place} was deleted and made anew. Nothing was changed.", advice=_JUDGE)
    if not objects.may_be(seen.revision, intent.from_revision):
        what = f"{seen.place} is at {seen.revision} and no longer at {intent.from_revision}"
        raise Refused(f"{what}. Nothing was changed.", advice=_JUDGE)
    if seen.deployment["serviceDeploymentArn"] != intent.record.get("deployment"):
        what = f"another writer has begun a deployment of {seen.place} since the revert was planned"
        raise Refused(f"{what}. Nothing was changed.", advice=_JUDGE)
    if seen.deployment["status"] in objects.ROLLING_BACK:
        raise Refused(f"ECS rolls {seen.place} back by itself meanwhile. Nothing was sent.", advice="Wait for its end.")


def _recorded(reader: Reader, seen: Seen, intent: Intent) -> Move:
    """The move of the intent, or, where the deployment has ended or reached a hook since, the one that now leads to the same end."""
    wanted = goal(reader, seen, (intent.to_revision,))
    fresh = move_of(reader, seen, wanted) if wanted is not None else None
    if fresh is not None and fresh.way.value == intent.record.get("way"):
        return fresh
    request = PlanRequest(intent.target, intent.incident, intent.from_revision, (intent.to_revision,))
    again = plan(reader, seen.place, request)
    if not isinstance(again, Plan) or again.intent.to_revision != intent.to_revision or fresh is None:
        raise Refused(f"{seen.place}: {intent.to_revision} can no longer be reached. Nothing was changed.", advice=_JUDGE)
    return fresh


def _send(reader: Reader, move: Move, intent: Intent) -> None:
    if move.call is None:
        return
    try:
        reader.caller.write(move.call, intent.incident, **move.parameters)
    except (Rejected, Gone) as fault:
        if fault.code in ("ConflictException", "ServiceDeploymentNotFoundException"):
            raise Refused(f"the deployment is no longer one that can be rolled back: {fault}", advice=_JUDGE) from fault
        raise
