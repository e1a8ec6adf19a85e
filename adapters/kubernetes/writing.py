"""The one write of a plan: sent, sent again only after a definite no, and looked at where its answer was lost."""

from collections.abc import Callable

from rollbackd.adapters.base.errors import AdapterError, Refused, Transient
from rollbackd.adapters.base.target import Intent, Plan, Standing
from rollbackd.adapters.kubernetes import objects, standing
from rollbackd.adapters.kubernetes.api import Cluster
from rollbackd.adapters.kubernetes.failures import Lost, NotAdmitted
from rollbackd.adapters.kubernetes.patience import WRITING, asked
from rollbackd.adapters.kubernetes.place import Place
from rollbackd.adapters.kubernetes.planning import Write, view_of, write_of


def apply(cluster: Cluster, place: Place, plan: Plan, sleep: Callable[[float], None]) -> None:
    """See Target.apply. A plan out of the journal has no payload: its write is made again from what the intent names."""

    def send() -> None:
        write = plan.payload if isinstance(plan.payload, Write) else _rebuilt(cluster, place, plan.intent)
        cluster.patch(write.place, write.operations)

    try:
        # The write holds its own fence, so one that is sent again does nothing where the target has moved on.
        asked(send, WRITING, sleep)
    except NotAdmitted:
        raise
    except Lost as lost:
        if (seen := _unchanged(cluster, place, plan.intent)) is None:
            raise
        raise Transient(f"{lost.what} It was looked at right after: {seen}.", retry_after=lost.retry_after) from lost
    except Refused as refusal:
        what = f"{place} is not as it was when the revert was planned, or the server no longer takes it: {refusal}"
        raise Refused(what, advice="Look at the target; judge what runs now.") from refusal


def _unchanged(cluster: Cluster, place: Place, intent: Intent) -> str | None:
    """That nothing has come of the write so far, if a look says so. The caller looks on: the server may carry it out later."""
    try:
        sight = standing.look(cluster, place, intent)
    except AdapterError:
        return None
    return f"unchanged, {sight.reason}" if sight.standing is Standing.BEFORE else None


def _rebuilt(cluster: Cluster, place: Place, intent: Intent) -> Write:
    view = view_of(cluster, place)
    live = objects.digest(view.deployment["spec"]["template"])
    if live != intent.from_revision or view.deployment["metadata"]["uid"] != intent.record.get("uid"):
        raise Refused(f"{place} is at {live} and no longer at {intent.from_revision}. Nothing was changed.", advice="Judge what runs now.")
    goal = objects.of_template(view.mine, intent.to_revision)
    if goal is None:
        raise Refused(
            f"{place}: the ReplicaSet of {intent.to_revision} is gone. Nothing was changed.", advice="Deploy that version by the usual way."
        )
    return write_of(place, intent, view.deployment, goal)
