"""What a metric source holds of the policies as they are written: faults that only the source can tell. It is asked what the daemon asks."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.source import Identity, Increases, RowKey, Selector, Slower, Source
from rollbackd.controller.doctor.doubles import LOOKED_THROUGH, clusters, doubles
from rollbackd.controller.doctor.labels import main_selector
from rollbackd.controller.doctor.sources import read_now, without_probes
from rollbackd.controller.doctor.surroundings import ShowsBuckets, ShowsSeries
from rollbackd.controller.observe.questions import asks_of
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.readings import Counts, Lack, Reading, Unknown
from rollbackd.policies.resolve.written import Key, Written, conditions_of
from rollbackd.policies.text.faults import Fault
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.watching.buckets import remark

ONE_SCRAPE = "name one of them in the selector, or let the store deduplicate: one failure is two pieces of evidence as it is"
ONE_CLUSTER = "keep the source to one of them by its `match`: a release is judged by the other's errors as it is"


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What a condition counts together, and what to do about it."""

    said: str
    hint: str


def sighted(policies: Sequence[Policy], texts: Mapping[str, str], source: Source, at: datetime) -> tuple[Fault, ...]:
    """The faults and warnings of these policies, in their files ``texts``, as ``source`` tells them at ``at``; the policies may name other sources.

    An error: a limit that can never fire, a question that is not answered, and no data for a condition written out by hand or for a whole policy.
    """
    asked = [without_probes(policy) for policy in policies]
    readings = _readings(asked, source, at)
    mixed, together = _mixed(asked, source, at), _together(asked, source, at)
    written: dict[str, Mapping[Key, Written]] = {}
    found: list[Fault] = []
    for policy in asked:
        if policy.file not in written:
            written[policy.file] = conditions_of(texts[policy.file], policy.file)
        found += _faults(policy, readings[policy.name], mixed, written[policy.file])
        found += _doubts(policy, together, written[policy.file])
    return tuple(sorted(set(found)))


def _readings(policies: Sequence[Policy], source: Source, at: datetime) -> Mapping[str, tuple[Reading, ...]]:
    found: dict[str, tuple[Reading, ...]] = {}
    for name in dict.fromkeys(policy.source for policy in policies):
        found |= read_now({name: source}, [policy for policy in policies if policy.source == name], at)
    return found


def _mixed(policies: Sequence[Policy], source: Source, at: datetime) -> Mapping[Key, tuple[float, ...]]:
    """The latencies whose series have different buckets, with the bounds that all have; where the source cannot tell, none."""
    if not isinstance(source, ShowsBuckets):
        return {}
    rows: dict[Slower, dict[RowKey, list[Key]]] = defaultdict(lambda: defaultdict(list))
    for policy in policies:
        for condition, one in zip(policy.conditions, asks_of(policy, source.block(policy.every)), strict=True):
            if isinstance(one.group, Slower):
                rows[one.group][one.row].append((policy.name, condition.name))
    found: dict[Key, tuple[float, ...]] = {}
    for group, keys in rows.items():
        try:
            buckets = source.buckets(replace(group, only=frozenset(keys)), at - source.delay)
        except AdapterError:
            continue  # so were the readings, which say why
        found |= {key: buckets[row].shared for row in keys if row in buckets and buckets[row].is_mixed for key in keys[row]}
    return found


def _together(policies: Sequence[Policy], source: Source, at: datetime) -> Mapping[Key, _Doubt]:
    """The conditions that count together what should not be, events twice or those of two clusters; where the source cannot tell, none."""
    if not isinstance(source, ShowsSeries):
        return {}
    keys: dict[tuple[Selector, Identity], list[tuple[RowKey, Key]]] = defaultdict(list)
    for policy in policies:
        for condition, one in zip(policy.conditions, asks_of(policy, source.block(policy.every)), strict=True):
            if isinstance(one.group, Increases | Slower) and (selector := main_selector(one.group)) is not None:
                keys[selector, one.group.identity].append((one.row, (policy.name, condition.name)))
    found: dict[Key, _Doubt] = {}
    for (selector, identity), asked in keys.items():
        try:
            shown = source.series(selector, at - source.delay, LOOKED_THROUGH)
        except AdapterError:
            continue  # so were the readings, which say why
        seen = {row: _Doubt(f"it counts the events of {each} together", ONE_CLUSTER) for row, each in clusters(shown, identity).items()}
        seen |= {row: _Doubt(f"its events are counted once for {by}", ONE_SCRAPE) for row, by in doubles(shown, identity).items()}
        found |= {key: seen[row] for row, key in asked if row in seen}
    return found


def _doubts(policy: Policy, together: Mapping[Key, _Doubt], written: Mapping[Key, Written]) -> Iterator[Fault]:
    for condition in policy.conditions:
        key = policy.name, condition.name
        if (doubt := together.get(key)) is not None and (place := written.get(key)) is not None:
            found = place.findings()
            found.warn(place.path, f"{condition.name}: {doubt.said}", doubt.hint)
            yield from found.faults


def _faults(policy: Policy, readings: Sequence[Reading], mixed: Mapping[Key, tuple[float, ...]], written: Mapping[Key, Written]) -> Iterator[Fault]:
    is_blind = all(isinstance(reading, Unknown) for reading in readings)
    for condition, reading in zip(policy.conditions, readings, strict=True):
        if (place := written.get((policy.name, condition.name))) is None:
            continue  # its file has changed since it was read
        found = place.findings()
        match reading:
            case Unknown(lack=lack, why=why):
                is_fatal = lack is Lack.ERROR or is_blind or not condition.from_library
                _lacking(policy, condition, why, is_fatal=is_fatal, found=found, place=place)
            case Counts() as counts if (said := remark(condition, counts, mixed.get((policy.name, condition.name)))) is not None:
                if said.is_fatal:
                    found.fault(place.limit, "", f"{condition.name} {said.said}", said.hint)
                else:
                    found.warn(place.limit, f"{condition.name}: {said.said}", said.hint)
        yield from found.faults


def _lacking(policy: Policy, condition: Condition, why: str, *, is_fatal: bool, found: Findings, place: Written) -> None:
    hint = "compare its metrics and labels with what the source holds"
    if policy.target.startswith("kubernetes:"):
        hint = f"`rollbackd doctor --workload {quote(policy.target)}` proposes a metric profile"
    if is_fatal:
        found.fault(place.path, "", f"{condition.name}: {why}", hint)
    else:
        found.warn(place.path, f"{condition.name}: {why}", f"a condition of the library, so it is not applicable and no alarm; {hint}")
