"""One written test to a case, or faults: what it names is looked up in its policy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeAlias

from rollbackd.controller.observe.questions import POD
from rollbackd.controller.policytest.cases import Case, Expected, GivenChange, GivenSeries, Start, Surroundings
from rollbackd.controller.policytest.documents import DEFAULT_INTERVAL, CaseItem, ChangeItem, ExpectItem
from rollbackd.controller.policytest.notation import Absent, NotationError, Value, parse_values
from rollbackd.controller.policytest.sides import sides_of
from rollbackd.controller.policytest.words import GUARDS, is_read, kind_of, metrics_of, reads_text, rung_names, selectors_of
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.model.keys import parse_target
from rollbackd.policies.model.policy import Mode, Policy
from rollbackd.policies.model.signals import OfTarget, Probe, PromQL, Selector
from rollbackd.policies.text.faults import choices, nearest, quoted
from rollbackd.policies.text.selectors import SelectorError, parse_selector
from rollbackd.policies.text.units import written
from rollbackd.policies.text.validate import Findings, locate

Path: TypeAlias = tuple[str | int, ...]
MOST_LOOKS = 20_000
"""So many looks a test may take: two weeks at a minute."""
MOST_SAMPLES = 2_000_000
"""So many samples a test may have."""
PAGE = ("job", "instance", POD)
"""Series that are equal in these labels were read on one page."""


def resolve(item: CaseItem, index: int, policy: Policy, findings: Findings) -> Case | None:
    """The case; None after at least one fault."""
    own = replace(findings, faults=[])
    case = _Resolving(item, ("tests", index), own, policy=policy).case()
    findings.faults += own.faults
    return None if own.is_faulty else case


def check(item: CaseItem, index: int, findings: Findings) -> None:
    """What is wrong with the test whatever its policy says is among the findings."""
    _Given(item, ("tests", index), findings).check()


@dataclass(slots=True)
class _Given:
    """What a test says that is read without its policy."""

    item: CaseItem
    path: Path
    findings: Findings
    samples: int = 0

    @property
    def interval(self) -> timedelta:
        return self.item.interval or DEFAULT_INTERVAL

    def check(self) -> None:
        until = max(one.at for one in self.item.expect)
        for _ in self._series(self.interval, until):
            pass
        for index, answer in enumerate(self.item.answers):
            self._values(answer.values, (*self.path, "answers", index, "values"), self.interval, until)
        for index, one in enumerate(self.item.expect):
            self._check_words(one, (*self.path, "expect", index))

    def _series(self, interval: timedelta, until: timedelta) -> Iterator[GivenSeries]:
        taken: set[frozenset[tuple[str, str]]] = set()
        for index, one in enumerate(self.item.series):
            path = (*self.path, "series", index)
            selector = self._selector(one.series, (*path, "series"))
            values = self._values(one.values, (*path, "values"), interval, until)
            if selector is None:
                continue
            labels = {matcher.label: matcher.value for matcher in selector.matchers}
            identity = frozenset({**labels, "__name__": selector.metric}.items())
            if identity in taken:
                self.findings.fault((*path, "series"), "each series once", f"{quoted(one.series)} again")
            taken.add(identity)
            self._warn_unread(selector.metric, labels, (*path, "series"))
            yield GivenSeries(_text(selector), tuple(labels.get(label, "") for label in PAGE), values)

    def _selector(self, text: str, path: Path) -> Selector | None:
        try:
            selector = parse_selector(text)
        except SelectorError as error:
            self.findings.fault(path, error.expected, f"{error.found} at character {error.offset + 1}", offset=error.offset)
            return None
        labels = [matcher.label for matcher in selector.matchers]
        if bad := next((m for m in selector.matchers if m.op != "="), None):
            self.findings.fault(path, f"'=' after the label '{bad.label}'", quoted(bad.op), "a series has one value for each label")
            return None
        if twice := next((label for label in labels if labels.count(label) > 1), None):
            self.findings.fault(path, "each label once", f"'{twice}' again")
            return None
        return selector

    def _values(self, text: str, path: Path, interval: timedelta, until: timedelta) -> tuple[Value, ...]:
        try:
            values = parse_values(text)
        except NotationError as error:
            self.findings.fault(path, error.expected, error.found, error.hint, offset=error.offset)
            return ()
        end = (len(values) - 1) * interval
        if end + interval <= until and not isinstance(values[-1], Absent):
            said = f"the values end at {written(end)} and the test goes on until {written(until)}: from then on there is no sample"
            self.findings.warn(path, said, "say so with _ or stale, or write more")
        kept = values[: until // interval + 1]
        self.samples += len(kept)
        if self.samples > MOST_SAMPLES >= self.samples - len(kept):
            self.findings.fault(path, f"at most {MOST_SAMPLES:,} samples in a test", "more")
        return kept if self.samples <= MOST_SAMPLES else ()

    def _warn_unread(self, metric: str, labels: Mapping[str, str], path: Path) -> None:
        """Who reads the series is not known here."""

    def _check_words(self, one: ExpectItem, path: Path) -> None:
        if not one.model_fields_set - {"at"}:
            self.findings.fault(path, "something that is expected", "a time alone", "write verdicts, decision, remedy, to, guard or reason_contains")
        if one.guard is not None and one.guard not in GUARDS:
            self._unknown((*path, "guard"), "a guard", one.guard, GUARDS)

    def _unknown(self, path: Path, expected: str, found: str, known: Iterable[str]) -> None:
        self.findings.fault(path, expected, quoted(found), choices(found, known, "known"))


@dataclass(slots=True)
class _Resolving(_Given):
    """One test on its way."""

    policy: Policy = field(kw_only=True)

    def case(self) -> Case:
        item, policy, interval = self.item, self.policy, self.interval
        expected = tuple(self._expected())
        until = max(one.at for one in expected)
        if until / min(policy.every, interval) > MOST_LOOKS and not self.findings.was_cut((*self.path, "interval")):
            self.findings.fault((*self.path, "expect"), f"at most {MOST_LOOKS:,} looks", f"{until // min(policy.every, interval):,}")
            until = timedelta(0)
        series = tuple(self._series(interval, until))
        used = policy if item.mode is None else replace(policy, mode=Mode[item.mode.upper()])
        return Case(
            name=item.name,
            file=self.findings.document.file,
            line=locate(self.findings.document.root, self.path)[1].line,
            policy=used,
            interval=interval,
            series=series,
            answers=dict(self._answers(interval, until)),
            changes=tuple(sorted(self._changes(series), key=lambda change: change.at)),
            starts=dict(self._starts()),
            surroundings=self._surroundings(),
            expected=expected,
        )

    def _warn_unread(self, metric: str, labels: Mapping[str, str], path: Path) -> None:
        read = metrics_of(self.policy)
        if metric not in read:
            near = nearest(metric, read)
            hint = f"did you mean '{near}'?" if near else f"it reads {', '.join(sorted(read)) or 'none'}"
            self.findings.warn(path, f"no condition of policy '{self.policy.name}' reads {metric}", hint)
        elif not any(is_read(condition, metric, labels) for condition in self.policy.conditions):
            reader = next(c for c in self.policy.conditions if metric in {selector.metric for selector in selectors_of(c)})
            said = f"no condition of policy '{self.policy.name}' reads this series of {metric}"
            self.findings.warn(path, said, f"{reader.name}: {reads_text(reader)}")

    def _answers(self, interval: timedelta, until: timedelta) -> Iterator[tuple[int, tuple[Value, ...]]]:
        conditions = {condition.name: index for index, condition in enumerate(self.policy.conditions)}
        taken: set[str] = set()
        for number, one in enumerate(self.item.answers):
            path = (*self.path, "answers", number)
            values = self._values(one.values, (*path, "values"), interval, until)
            index = conditions.get(one.condition)
            if index is None:
                self._unknown((*path, "condition"), f"a condition of policy '{self.policy.name}'", one.condition, conditions)
            elif not isinstance(self.policy.conditions[index].signal, PromQL | Probe | OfTarget):
                self.findings.fault(
                    (*path, "condition"), "a condition with promql or probe, or stuck-rollout", quoted(one.condition), "give the series that it reads"
                )
            elif one.condition in taken:
                self.findings.fault((*path, "condition"), "each condition once", f"{quoted(one.condition)} again")
            else:
                yield index, values
            taken.add(one.condition)

    # --- the world ------------------------------------------------------------------------------------------------------------------------

    def _changes(self, series: Sequence[GivenSeries]) -> Iterator[GivenChange]:
        pods = {one.page[PAGE.index(POD)] for one in series}
        taken: set[tuple[str, timedelta]] = set()
        for index, one in enumerate(self.item.changes):
            path = (*self.path, "changes", index)
            target = self.policy.target if one.target is None else self._target(one.target, (*path, "target"))
            if isinstance(one.ready, timedelta) and one.ready < one.at:
                self.findings.fault((*path, "ready"), f"a time not before 'at' ({written(one.at)})", written(one.ready))
            if (target, one.at) in taken and not self.findings.was_cut((*path, "target")):
                self.findings.fault((*path, "at"), f"one change of {target} at a time", f"another at {written(one.at)}")
            taken.add((target, one.at))
            self._warn_late(one, path)
            sides = sides_of(one, target, self.policy, pods, path, self.findings)
            yield GivenChange(one.at, target, one.revision, _ready(one), one.irreversible, one.posted, tuple(one.parts or ()), sides)

    def _warn_late(self, one: ChangeItem, path: Path) -> None:
        """What comes after the last expectation is never played: the test would pass without it too."""
        last = max(each.at for each in self.item.expect)
        after = f"after the last expectation ({written(last)})"
        if not self.findings.is_whole((*self.path, "expect")):
            return
        if one.at > last:
            self.findings.warn((*path, "at"), f"the change begins at {written(one.at)}, {after}", "expect something later")
        elif isinstance(one.ready, timedelta) and one.ready > last:
            self.findings.warn((*path, "ready"), f"it is ready at {written(one.ready)}, {after}", "expect something later, or write never")

    def _target(self, text: str, path: Path) -> str:
        """The key of one of the policy's targets."""
        known = self.policy.targets
        try:
            key = parse_target(text, _cluster(self.policy.target))
        except ValueError as error:
            self.findings.fault(path, f"a target of policy '{self.policy.name}'", quoted(text), str(error))
            return text
        if key not in known:
            self._unknown(path, f"a target of policy '{self.policy.name}'", text, known)
        return key

    def _starts(self) -> Iterator[tuple[str, Start]]:
        item = self.item
        yield self.policy.target, _start(item.running, item.known_good)
        for index, other in enumerate(item.others):
            key = self._target(other.target, (*self.path, "others", index, "target"))
            if key == self.policy.target:
                expected = "a further target of the ladder"
                self.findings.fault((*self.path, "others", index, "target"), expected, "the policy's own", "write running and known_good of the test")
            yield key, _start(other.running, other.known_good or ())

    def _surroundings(self) -> Surroundings:
        guards = self.item.guards
        if guards is None:
            return Surroundings()
        return Surroundings(guards.paused, frozenset(guards.in_breach or ()), frozenset(guards.quarantined or ()))

    # --- what is expected -----------------------------------------------------------------------------------------------------------------

    def _expected(self) -> Iterator[Expected]:
        known = [condition.name for condition in self.policy.conditions]
        for index, one in enumerate(self.item.expect):
            path = (*self.path, "expect", index)
            for name in one.verdicts or ():
                if name not in known:
                    expected = f"a condition of policy '{self.policy.name}'"
                    self.findings.fault((*path, "verdicts", name), expected, quoted(name), choices(name, known, "known"), at_key=True)
            self._check_words(one, path)
            self._check_remedy(one, path)
            verdicts = tuple((name, State(word)) for name, word in (one.verdicts or {}).items())
            line = locate(self.findings.document.root, path)[1].line
            yield Expected(one.at, line, verdicts, one.decision, one.remedy, one.to, one.guard, one.reason_contains)

    def _check_remedy(self, one: ExpectItem, path: Path) -> None:
        rungs = [name for rung in self.policy.ladder for name in rung_names(rung)]
        if one.remedy is not None and one.remedy not in rungs:
            self._unknown((*path, "remedy"), f"a rung of policy '{self.policy.name}'", one.remedy, dict.fromkeys(rungs))


def _ready(change: ChangeItem) -> timedelta | None:
    if change.ready == "never":
        return None
    return change.ready if isinstance(change.ready, timedelta) else change.at


def _start(running: str | None, known_good: Sequence[str]) -> Start:
    return Start(running or next(iter(known_good), "initial"), tuple(known_good))


def _cluster(key: str) -> str:
    return key.partition(":")[2].partition("/")[0] if kind_of(key) == "kubernetes" else "default"


def _text(selector: Selector) -> str:
    """The series as a page of metrics spells it."""
    escaped = ((m.label, m.value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')) for m in selector.matchers)
    inside = ",".join(f'{label}="{value}"' for label, value in escaped)
    return f"{selector.metric}{{{inside}}}" if inside else selector.metric
