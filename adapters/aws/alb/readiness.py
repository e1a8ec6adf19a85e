"""What would stop us from moving the weights of a rule, found before the incident."""

from collections.abc import Iterator, Sequence

from rollbackd.adapters.aws.alb.actions import Rule, name_of, shares, weights_of
from rollbackd.adapters.aws.alb.capacity import strength
from rollbackd.adapters.aws.alb.owners import owner
from rollbackd.adapters.aws.alb.place import Place
from rollbackd.adapters.aws.alb.reading import Reader
from rollbackd.adapters.base.errors import AdapterError


def findings(reader: Reader, places: Sequence[Place]) -> list[str]:
    """One line for each obstacle at these rules of one account and region. Never raises an AdapterError."""
    try:
        reader.caller.identify()
    except AdapterError as fault:
        return [f"{place.key}: {fault}" for place in places]
    return [f"{place.key}: {line}" for place in places for line in _of(reader, place)]


def _of(reader: Reader, place: Place) -> Sequence[str]:
    try:
        return list(_obstacles(reader, place, reader.rule(place)))
    except AdapterError as fault:
        return [str(fault)]


def _obstacles(reader: Reader, place: Place, rule: Rule) -> Iterator[str]:
    weights = weights_of(rule.actions)
    if not weights:
        yield f"it forwards to no target group ({rule.revision}): there are no weights to put back."
        return
    if (refusal := owner(reader, place, rule)) is not None:
        yield f"{refusal} {refusal.advice}"
        return
    serving = shares(weights)
    spare = [arn for arn in weights if arn not in serving]
    if len(serving) == 1 and not spare:
        yield "its only target group gets everything: keep the former group in the action, with weight 0, so that its health is known."
    elif len(serving) == 1 and not any(strength(reader.health(arn)).healthy for arn in spare):
        idle = ", ".join(name_of(arn) for arn in spare)
        yield f"no target is healthy in {idle}: there is nowhere to move the traffic to. Keep the former release running until the next one."
