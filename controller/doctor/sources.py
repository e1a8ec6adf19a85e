"""Checks of the metric sources: they answer, their clocks agree with ours, and they hold what the policies judge by."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from shlex import quote

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.source import Answer, Expression, Identity, MeteredSource, Source
from rollbackd.controller.doctor.findings import Finding, Grade
from rollbackd.controller.doctor.surroundings import Checkable, ReadsPages, Surroundings, TellsBirths
from rollbackd.controller.notify.clocks import TellsTime
from rollbackd.controller.observe.readings import Observer
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.readings import Counts, Lack, Reading, Unknown
from rollbackd.policies.model.signals import OfTarget, Probe
from rollbackd.policies.watching.buckets import remark

EXACT = timedelta(seconds=5)
"""Clocks that differ by less are called equal."""
UP = Expression("max(up)", Identity(()), frozenset({()}))
"""What every Prometheus that scrapes anything has: one sample for each scrape."""


def sources(around: Surroundings) -> Iterator[Finding]:
    """Each source answers, holds fresh samples, and knows of nothing that would spoil the evidence."""
    for name, source in around.sources.items():
        if isinstance(source, AdapterError):
            yield Finding("sources", name, Grade.FAIL, str(source))
        else:
            yield from _source(name, source, around)


def _source(name: str, source: Source, around: Surroundings) -> Iterator[Finding]:
    if isinstance(source, MeteredSource):
        yield from _metered(name, source, around)
        return
    if isinstance(source, ReadsPages):
        source.scrape()
    try:
        held = _held(source, around.now() - source.delay)
        skew = source.clock_skew(around.now()) if isinstance(source, TellsTime) else timedelta(0)
        births = source.births(around.now() - source.delay) if isinstance(source, TellsBirths) else ""
    except AdapterError as fault:
        # A refusal is an answer too, though not the one that was wanted.
        yield Finding("sources", name, Grade.FAIL, str(fault), reached=_has_answered(fault))
        return
    spoilt = [line for line in source.check() if line] if isinstance(source, Checkable) else []
    for line in spoilt:
        yield Finding("sources", name, Grade.WARN, line, reached=True)
    yield from _clock(name, source, skew)
    if births:
        yield Finding("sources", name, Grade.PASS, births, reached=True)
    yield _freshness(name, source, held, around.now() - source.delay)


def _metered(name: str, source: MeteredSource, around: Surroundings) -> Iterator[Finding]:
    """It answers, and its clock agrees with ours: one question, about nothing that exists."""
    try:
        skew = source.clock_skew(around.now()) if isinstance(source, TellsTime) else timedelta(0)
    except AdapterError as fault:
        yield Finding("sources", name, Grade.FAIL, str(fault), reached=_has_answered(fault))
        return
    yield from _clock(name, source, skew)
    yield Finding("sources", name, Grade.PASS, "answers; it costs money by the metric", reached=True)


def _clock(name: str, source: Source, skew: timedelta) -> Iterator[Finding]:
    if abs(skew) > EXACT:
        ahead = f"its clock is {abs(skew).total_seconds():.0f} s {'ahead of' if skew > timedelta(0) else 'behind'} ours"
        grade = Grade.FAIL if abs(skew) > source.freshness else Grade.WARN
        yield Finding("sources", name, grade, ahead, "have both machines set their clocks by NTP", reached=True)


def _held(source: Source, at: datetime) -> Answer | None:
    """The source's answer to the simplest question; None if it has no such question. Raises Transient or Permanent where it does not answer."""
    try:
        return source.read(UP, at)
    except Permanent:
        if isinstance(source, ReadsPages):
            return None  # no PromQL, but pages: it would have been Transient without any
        raise


def _freshness(name: str, source: Source, held: Answer | None, at: datetime) -> Finding:
    if held is None:
        return Finding("sources", name, Grade.PASS, "its pages were read", reached=True)
    if not held.rows:
        said = "answers, but has no series `up` from the last minutes"
        return Finding("sources", name, Grade.WARN, said, "as it should be only where all samples are pushed to it", reached=True)
    age = at - held.rows[()].newest
    if age > source.freshness:
        said = f"answers, but its newest scrape is {age.total_seconds():.0f} s old"
        return Finding("sources", name, Grade.WARN, said, "see what it scrapes, or set its scrape_interval", reached=True)
    return Finding("sources", name, Grade.PASS, "answers, with fresh samples", reached=True)


def evidence(around: Surroundings) -> Iterator[Finding]:
    """Each policy's conditions have data at this moment: what the daemon would read now, by the same questions."""
    by_source: dict[str, list[Policy]] = defaultdict(list)
    for policy in around.policies:
        by_source[policy.source].append(without_probes(policy))
    for name, policies in by_source.items():
        source = around.sources.get(name)
        # One reading of a page proves no increase; and no endpoint is probed from here.
        if source is not None and not isinstance(source, AdapterError | ReadsPages):
            yield from _evidence(name, source, policies, around)


def without_probes(policy: Policy) -> Policy:
    """The policy without what no metric source is asked for."""
    return replace(policy, conditions=tuple(one for one in policy.conditions if not isinstance(one.signal, Probe | OfTarget)))


def _evidence(name: str, source: Source, policies: Sequence[Policy], around: Surroundings) -> Iterator[Finding]:
    before = source.metrics_asked if isinstance(source, MeteredSource) else 0
    readings = read_now(around.sources, policies, around.now())
    if isinstance(source, MeteredSource):
        said = f"one look at {len(policies)} policies asks it for {source.metrics_asked - before} metrics"
        yield Finding("evidence", name, Grade.PASS, f"{said}: each minute while their watches are open")
    every = [reading for found in readings.values() for reading in found]
    faults = [reading.why for reading in every if isinstance(reading, Unknown) and reading.lack is Lack.ERROR]
    if faults and len(faults) == len(every):
        yield from _unreadable(name, source, faults, around)
        return
    for policy in policies:
        pairs = tuple(zip(policy.conditions, readings[policy.name], strict=True))
        yield from _of_policy(policy, pairs, name)
        yield from _of_buckets(policy, pairs)


def _unreadable(name: str, source: Source, faults: Sequence[str], around: Surroundings) -> Iterator[Finding]:
    """One failure for all of a source's conditions; nothing where its own check fails too, which is asked for again."""
    if not any(finding.grade is Grade.FAIL for finding in _source(name, source, around)):
        said = f"none of {len(faults)} conditions can be read: {faults[0]}"
        yield Finding("evidence", name, Grade.FAIL, said, "mend that: until then nothing is judged by this source")


def read_now(sources: Mapping[str, Source | AdapterError], policies: Sequence[Policy], at: datetime) -> Mapping[str, tuple[Reading, ...]]:
    """Each policy's readings, as a slot at this moment would have them. All policies share one source that could be made."""
    observer = Observer({name: source for name, source in sources.items() if not isinstance(source, AdapterError)}, lambda question: None)
    try:
        return observer.read(policies, at)
    finally:
        observer.close()


def _of_policy(policy: Policy, pairs: Sequence[tuple[Condition, Reading]], source: str) -> Iterator[Finding]:
    lacking = [f"{condition.name} ({reading.why})" for condition, reading in pairs if isinstance(reading, Unknown)]
    has = len(pairs) - len(lacking)
    said = f"{has} of {len(pairs)} conditions have data in {source}"
    if not lacking:
        yield Finding("evidence", policy.name, Grade.PASS, said)
        return
    advice = "compare its metrics and `match` with what the source holds"
    # No profile mends what is written by hand, or what the source refuses.
    is_library = any(condition.from_library and reading.lack is Lack.NODATA for condition, reading in pairs if isinstance(reading, Unknown))
    if is_library and policy.target.startswith("kubernetes:"):
        advice = f"rollbackd doctor --workload {quote(policy.target)} proposes a metric profile"
    yield Finding("evidence", policy.name, Grade.WARN if has else Grade.FAIL, f"{said}; none for {', '.join(lacking)}", advice)


def _of_buckets(policy: Policy, pairs: Sequence[tuple[Condition, Reading]]) -> Iterator[Finding]:
    for condition, reading in pairs:
        if isinstance(reading, Counts) and (said := remark(condition, reading)) is not None:
            grade = Grade.FAIL if said.is_fatal else Grade.WARN
            yield Finding("evidence", policy.name, grade, f"{condition.name}: {said.said}", said.hint)


def _has_answered(fault: AdapterError) -> bool:
    return not isinstance(fault, Transient) or fault.is_answer
