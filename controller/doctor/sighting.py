"""What a metric source holds of the policies as they are written: faults that only the source can tell. It is asked what the daemon asks."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from shlex import quote

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.source import Identity, Increases, RowKey, Selector, Slower, Source
from rollbackd.controller.doctor.doubles import LOOKED_THROUGH, clusters, doubles
from rollbackd.controller.doctor.labels import main_selector, told_apart
from rollbackd.controller.doctor.sources import read_now, without_probes
from rollbackd.controller.doctor.surroundings import ShowsBuckets, ShowsSeries
from rollbackd.controller.doctor.unmatched import Doubt, mismatch
from rollbackd.controller.observe.questions import ProbeQuestion, TargetQuestion, asks_of
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.readings import Counts, Lack, Reading, Unknown
from rollbackd.policies.resolve.written import Key, Written, conditions_of
from rollbackd.policies.text.faults import Fault
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.text.yaml_text import Path
from rollbackd.policies.watching.buckets import remark

ONE_SCRAPE = "name one of them in the selector, or let the store deduplicate: one failure is two pieces of evidence as it is"
ONE_CLUSTER = "keep the source to one of them by its `match`: a release is judged by the other's errors as it is"


def sighted(policies: Sequence[Policy], texts: Mapping[str, str], source: Source, at: datetime) -> tuple[Fault, ...]:
    """The faults and warnings of these policies, in their files ``texts``, as ``source`` tells them at ``at``; the policies may name other sources.

    An error: a limit that can never fire, a question that is not answered, and no data for a condition written out by hand or for a whole policy.
    """
    asked = [without_probes(policy) for policy in policies]
    readings = _readings(asked, source, at)
    mixed, together = _mixed(asked, source, at), _together(asked, source, at)
    unmatched = _unmatched(asked, readings, source, at)
    written: dict[str, Mapping[Key, Written]] = {}
    found: list[Fault] = []
    for policy in asked:
        if policy.file not in written:
            written[policy.file] = conditions_of(texts[policy.file], policy.file)
        found += _faults(policy, readings[policy.name], mixed, unmatched, written[policy.file], _selectors(policy, source))
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


def _together(policies: Sequence[Policy], source: Source, at: datetime) -> Mapping[Key, Doubt]:
    """The conditions that count together what should not be, events twice or those of two clusters; where the source cannot tell, none."""
    if not isinstance(source, ShowsSeries):
        return {}
    keys: dict[tuple[Selector, Identity], list[tuple[RowKey, Key]]] = defaultdict(list)
    for policy in policies:
        for condition, one in zip(policy.conditions, asks_of(policy, source.block(policy.every)), strict=True):
            if isinstance(one.group, Increases | Slower) and (selector := main_selector(one.group)) is not None:
                keys[selector, one.group.identity].append((one.row, (policy.name, condition.name)))
    found: dict[Key, Doubt] = {}
    for (selector, identity), asked in keys.items():
        try:
            shown = source.series(selector, at - source.delay, LOOKED_THROUGH)
        except AdapterError:
            continue  # so were the readings, which say why
        seen = {row: Doubt(f"it counts the events of {each} together", ONE_CLUSTER) for row, each in clusters(shown, identity).items()}
        seen |= {row: Doubt(f"its events are counted once for {by}", ONE_SCRAPE) for row, by in doubles(shown, identity).items()}
        found |= {key: seen[row] for row, key in asked if row in seen}
    return found


def _unmatched(policies: Sequence[Policy], readings: Mapping[str, Sequence[Reading]], source: Source, at: datetime) -> Mapping[Key, Doubt]:
    """The conditions written by hand that have no data because `match` names what their series have not, as far as the source can tell."""
    found: dict[Key, Doubt] = {}
    for policy in policies:
        asks = asks_of(policy, source.block(policy.every))
        for condition, one, reading in zip(policy.conditions, asks, readings[policy.name], strict=True):
            is_silent = isinstance(reading, Unknown) and reading.lack is Lack.NODATA and not condition.from_library
            if not is_silent or isinstance(one.group, ProbeQuestion | TargetQuestion):
                continue
            if (doubt := mismatch(one.group, one.row, source, at - source.delay)) is not None:
                found[policy.name, condition.name] = doubt
    return found


def _doubts(policy: Policy, together: Mapping[Key, Doubt], written: Mapping[Key, Written]) -> Iterator[Fault]:
    for condition in policy.conditions:
        key = policy.name, condition.name
        if (doubt := together.get(key)) is not None and (place := written.get(key)) is not None:
            found = place.findings()
            found.warn(place.path, f"{condition.name}: {doubt.said}", doubt.hint)
            yield from found.faults


def _faults(
    policy: Policy,
    readings: Sequence[Reading],
    mixed: Mapping[Key, tuple[float, ...]],
    unmatched: Mapping[Key, Doubt],
    written: Mapping[Key, Written],
    selectors: Mapping[str, str],
) -> Iterator[Fault]:
    is_blind = all(isinstance(reading, Unknown) for reading in readings)
    # Those of a set stand where the set is named: what is wrong with all of them is said once.
    lacking: dict[tuple[Path, bool, Doubt], list[Condition]] = defaultdict(list)
    for condition, reading in zip(policy.conditions, readings, strict=True):
        key = policy.name, condition.name
        if (place := written.get(key)) is None:
            continue  # its file has changed since it was read
        found = place.findings()
        match reading:
            case Unknown(lack=lack):
                is_fatal = lack is Lack.ERROR or is_blind or not condition.from_library
                lacking[place.path, is_fatal, unmatched.get(key) or _lack(policy, condition, reading)].append(condition)
            case Counts() as counts if (said := remark(condition, counts, mixed.get(key))) is not None:
                if said.is_fatal:
                    found.fault(place.limit, "", f"{condition.name} {said.said}", said.hint)
                else:
                    found.warn(place.limit, f"{condition.name}: {said.said}", said.hint)
        yield from found.faults
    for (path, is_fatal, doubt), conditions in lacking.items():
        found = written[policy.name, conditions[0].name].findings()
        _lacking(conditions, doubt, selectors, is_fatal=is_fatal, found=found, path=path)
        yield from found.faults


def _lack(policy: Policy, condition: Condition, reading: Unknown) -> Doubt:
    if reading.lack is Lack.ERROR:
        return Doubt(reading.why, "")  # which says what to do: what the source refuses, no other name or label mends
    if condition.from_library and policy.target.startswith("kubernetes:"):
        return Doubt(reading.why, f"`rollbackd doctor --workload {quote(policy.target)}` proposes a metric profile")
    return Doubt(reading.why, "compare its metrics and labels with what the source holds")


def _lacking(conditions: Sequence[Condition], doubt: Doubt, selectors: Mapping[str, str], *, is_fatal: bool, found: Findings, path: Path) -> None:
    said, hint = f"{', '.join(one.name for one in conditions)}: {doubt.said}", doubt.hint
    # What was written out by hand stands in the file already; of what the source has refused it is said why.
    asked = [selectors[one.name] for one in conditions if one.from_library and one.name in selectors and hint]
    if asked:
        hint = f"asked for {', '.join(dict.fromkeys(asked))}; {hint}"
    if is_fatal:
        found.fault(path, "", said, hint)
    else:
        are = "conditions of the library, so they are" if len(conditions) > 1 else "a condition of the library, so it is"
        found.warn(path, said, f"{are} not applicable and no alarm; {hint}")


def _selectors(policy: Policy, source: Source) -> Mapping[str, str]:
    """What the source is asked for in the first place, by the name of the condition: the metric, and the labels by which the workload is known."""
    found: dict[str, str] = {}
    for condition, one in zip(policy.conditions, asks_of(policy, source.block(policy.every)), strict=True):
        if isinstance(one.group, ProbeQuestion | TargetQuestion) or (selector := main_selector(one.group)) is None:
            continue
        labels = [f'{each.label}{each.op}"{each.value}"' for each in selector.matchers]
        labels += [f'{label}="{value}"' for label, value in told_apart(one.group.identity, one.row).items()]
        found[condition.name] = f"{selector.metric}{{{', '.join(labels)}}}"
    return found
