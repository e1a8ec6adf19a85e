"""What Prometheus is asked: one expression per query, all its parts told apart by one label, so that they are read at one instant."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import floor

import promql_parser as parser

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Expression, Identity, Increases, Levels, Matcher, RowKey, Selector, Slower
from rollbackd.adapters.prometheus import promql
from rollbackd.adapters.prometheus.births import increase, increase_with_births, newborn
from rollbackd.adapters.prometheus.soundness import is_separable

PART = "rollbackd_part"
NEWEST = "newest sample"
NEWEST_OF_ALL = "newest sample of all"
NEWBORN = "newborn series"
UNEVEN = "uneven buckets"
NATIVE = "native"
"""Among the bounds of a histogram: some of its series are native, which have bounds of their own."""
SAMPLES = "samples of "
"""Before a bucket's bound: how many samples its series have in the window."""
LOOKBACK = timedelta(minutes=5)
"""How far Prometheus looks back for a sample, by default: a series that lives has one that is younger."""
LIVING = timedelta(seconds=75)
"""So old a living pod's newest sample may be, whatever interval is configured: a minute is Prometheus' default, and cAdvisor's stamps lag by 15 s."""


@dataclass(frozen=True, slots=True)
class Question:
    """``text`` is sent. Each series of the answer belongs to the workload named by its ``labels`` and to the part named by its ``part_label``.

    ``only`` are the asked workloads, ``series`` about how many each has in the answer.
    ``unstamped``: how old a workload's newest sample is taken to be if none can be seen now.
    """

    text: str
    labels: tuple[str, ...]
    only: frozenset[RowKey]
    unstamped: timedelta
    part_label: str = PART
    series: int = 4


def ask_increases(query: Increases, scrape_interval: timedelta, *, calmly: bool = False) -> Question:
    """Each part's increase per workload, and the newest sample of the part "total", or of the first.

    ``calmly``: for half the work of the server the same, where the answer has no part ``NEWBORN`` and of each workload the newest sample.
    """
    if not query.parts:
        raise Permanent("an increase of nothing was asked for, so nothing was asked: name a counter")
    extra = promql.restriction(query.identity.labels, query.only, query.identity.derived)
    counters = {name: promql.vector(selector, extra) for name, selector in query.parts}
    grown = [promql.mark(_grown(selector, extra, query, calmly=calmly), PART, name) for name, selector in query.parts]
    stamped = counters.get("total", counters[query.parts[0][0]])
    newest = promql.mark(_newest_in_window(stamped, query.identity, scrape_interval, calmly=calmly), PART, NEWEST)
    births = [_newborn(counters.values(), query.window, PART)] if calmly else []
    return _question(promql.either(*grown, newest, *births), query, query.window)


def _grown(selector: Selector, extra: Iterable[Matcher], query: Increases, *, calmly: bool) -> parser.Expr:
    # Rate first, then sum: the other way round a reset of one pod looks like a jump of all.
    counter = promql.vector(selector, extra)
    is_whole = len({part.metric for _, part in query.parts}) == 1 < len(query.parts)
    grown = increase(counter, query.window) if calmly else increase_with_births(counter, query.window, is_share=is_whole)
    if query.where is not None:
        grown = _only_where(grown, selector, query.where, extra)
    return _grouped("sum", grown, query.identity)


def _newborn(counters: Iterable[parser.Expr], window: timedelta, part_label: str) -> parser.Expr:
    return promql.mark(promql.either(*(promql.fill("count(NEW)", NEW=newborn(one, window)) for one in counters)), part_label, NEWBORN)


def _only_where(grown: parser.Expr, counter: Selector, where: Selector, extra: Iterable[Matcher]) -> parser.Expr:
    """The increase of the series that have one of ``where`` above zero; 0 of the others, which are there all the same."""
    chosen = promql.labels(sorted({one.label for one in where.matchers} - {one.label for one in counter.matchers}))
    text = f"(GROWN) and ignoring ({chosen}) (CHOSEN > 0) or 0 * (GROWN)"
    return promql.fill(text, GROWN=grown, CHOSEN=promql.vector(where, extra))


def ask_levels(query: Levels, freshness: timedelta) -> Question:
    """The level per workload, and its newest sample. A divisor that is not above zero takes its series out: no limit is no limit breached.

    ``freshness``: so old evidence may be; series without a younger sample are those of pods that are gone, unless their workload has none but such.
    """
    extra = promql.restriction(query.identity.labels, query.only, query.identity.derived)
    value = promql.vector(query.value, extra)
    level = promql.derive(value, query.identity.derived) if query.silent else _living(value, query.identity, max(freshness, LIVING))
    if query.of is not None:
        limit = promql.derive(promql.vector(query.of, extra), query.identity.derived)
        level = promql.fill("(LEVEL) / (LIMIT > 0)", LEVEL=level, LIMIT=limit)
    newest = promql.mark(_grouped("max", promql.fill("timestamp(VALUE)", VALUE=value), query.identity), PART, NEWEST)
    return _question(promql.either(_picked(query, level), newest), query, LOOKBACK)


def _living(value: parser.Expr, identity: Identity, span: timedelta) -> parser.Expr:
    """A workload's series with a sample in the last ``span``, its computed label on them; where there is none, all: they are stale, not absent.

    One whose samples were further apart than that before is alive as long as Prometheus says so: else it would be known for a part of the time.
    """
    # Nobody marks the end of series that bring their own timestamps (the kubelet's) or were pushed: replaced pods would count twice for 5 minutes.
    text, lookback = value.prettify(), promql.duration(LOOKBACK)
    # An offset belongs to the selector in the range, so these are parsed with it, not filled in.
    rare = promql.parse(f"count_over_time({text}[{lookback}] offset {lookback}) <= {floor(LOOKBACK / span)}")
    long_known = promql.parse(f"{text} offset {promql.duration(2 * LOOKBACK)}")
    young = promql.fill(f"VALUE and (count_over_time(VALUE[{promql.duration(span)}]) or (RARE and OLD))", VALUE=value, RARE=rare, OLD=long_known)
    every, young = promql.derive(value, identity.derived), promql.derive(young, identity.derived)
    return promql.fill(f"(YOUNG) or on ({promql.labels(identity.labels)}) EVERY", EVERY=every, YOUNG=young)


def _picked(query: Levels, level: parser.Expr) -> parser.Expr:
    if query.per is None:
        return promql.mark(_grouped(query.pick, level, Identity(query.identity.labels)), PART, "value")
    names = promql.labels(query.identity.labels)
    by_unit = _grouped("max", level, Identity((*query.identity.labels, query.per)))
    second = promql.fill(f"min by ({names}) (topk by ({names}) (2, UNITS))", UNITS=by_unit)
    count = promql.fill(f"count by ({names}) (UNITS)", UNITS=by_unit)
    return promql.either(promql.mark(second, PART, "value"), promql.mark(count, PART, "units"))


def ask_expression(query: Expression) -> Question:
    """The expression as written; the newest samples of its selectors, by workload where they carry its labels, and of them all.

    Matchers for the asked workloads are pushed down only where that changes nothing. Where no selector sees a sample now, as under ``absent``,
    the value is stale: absence proves nothing by itself. Where there is no selector, it is of the asked instant.
    """
    tree = promql.read(query.promql)
    if not is_vector(tree):
        raise Permanent(f"the expression is no instant vector, so nothing was asked: give one value per workload: {query.promql[:120]}")
    derived = query.identity.derived
    raw = tuple(name for name in query.identity.labels if derived is None or name != derived.label)
    if len(query.only) <= promql.RESTRICTED_ROWS and is_separable(tree, frozenset(raw)):
        tree = _pushed_down(tree, promql.restriction(query.identity.labels, query.only, derived)[0 if derived is None else 1 :])
    value = promql.mark(promql.derive(tree, derived), PART, "value")
    newest = _newest_of_expression(tree, query.identity)
    return _question(promql.either(value, *newest), query, LOOKBACK if newest else timedelta(0))


def ask_buckets(query: Slower, bounds: Iterable[str], scrape_interval: timedelta, *, calmly: bool = False) -> Question:
    """The increase of each bucket that ends at one of ``bounds``, as the server spells them, and the newest sample.

    A workload whose series do not all have the same of these buckets throughout the window, as while a release changes them, has a part ``UNEVEN``.
    ``calmly``: as in ``ask_increases``.
    """
    counter = _buckets(query, (promql.one_of("le", sorted({*bounds, "+Inf"})),))
    uneven = promql.fill(f"stdvar by ({promql.labels(query.identity.labels)}) (SAMPLES) > 0", SAMPLES=_samples(counter, query))
    return _of_buckets(query, counter, promql.mark(uneven, "le", UNEVEN), scrape_interval, calmly=calmly)


def ask_all_buckets(query: Slower, scrape_interval: timedelta) -> Question:
    """The increase of every bucket, the number of its samples in the window under ``SAMPLES``, and the newest sample."""
    counter = _buckets(query, ())
    renamed = promql.fill(f'label_replace(SAMPLES, "le", {promql.literal(SAMPLES + "$1")}, "le", "(.*)")', SAMPLES=_samples(counter, query))
    return _of_buckets(query, counter, renamed, scrape_interval, calmly=False)


def _buckets(query: Slower, chosen: tuple[Matcher, ...]) -> parser.Expr:
    extra = promql.restriction(query.identity.labels, query.only, query.identity.derived)
    return promql.vector(buckets_of(query.histogram), (*extra, *chosen))


def _samples(counter: parser.Expr, query: Slower) -> parser.Expr:
    # Samples, not series: a bucket that a restart took away inside the window has fewer of them, and its increase would make requests look slow.
    counted = promql.fill(f"count_over_time(COUNTER[{promql.duration(query.window)}])", COUNTER=counter)
    return _grouped("sum", counted, _by_bound(query.identity))


def _of_buckets(query: Slower, counter: parser.Expr, evenness: parser.Expr, scrape_interval: timedelta, *, calmly: bool) -> Question:
    grown = increase(counter, query.window) if calmly else increase_with_births(counter, query.window, is_share=True)
    total = _buckets(query, (Matcher("le", "=", "+Inf"),))
    newest = promql.mark(_newest_in_window(total, query.identity, scrape_interval, calmly=calmly), "le", NEWEST)
    births = [_newborn([counter], query.window, "le")] if calmly else []
    return _question(promql.either(_grouped("sum", grown, _by_bound(query.identity)), newest, evenness, *births), query, query.window, "le")


def _by_bound(identity: Identity) -> Identity:
    return Identity((*identity.labels, "le"), identity.derived)


def ask_native(query: Slower, scrape_interval: timedelta) -> Question:
    """The increase of native histograms, whole and unmarked, and the newest sample; by the labels that series have, none computed.

    What is exposed as a classic histogram too is left out: its buckets have been asked for.
    """
    derived = query.identity.derived
    names = tuple(derived.source if derived is not None and name == derived.label else name for name in query.identity.labels)
    extra = promql.restriction(query.identity.labels, query.only, derived)
    histogram = promql.vector(_native_of(query.histogram), extra)
    twin = promql.vector(buckets_of(query.histogram), (*extra, Matcher("le", "=", "+Inf")))
    window = promql.duration(query.window)
    grown = promql.fill(f"increase(HISTOGRAM[{window}]) unless ignoring (le) increase(TWIN[{window}])", HISTOGRAM=histogram, TWIN=twin)
    newest = promql.mark(_newest_in_window(histogram, Identity(names), scrape_interval, calmly=False), PART, NEWEST)
    return _question(promql.either(_grouped("sum", grown, Identity(names)), newest), query, query.window)


def ask_bounds(histogram: Selector) -> str:
    """Which bucket bounds any series of the histogram has; ``NATIVE`` where there is a series that may be native."""
    native = promql.mark(promql.fill("count(SERIES)", SERIES=promql.vector(_native_of(histogram))), "le", NATIVE)
    classic = promql.fill("count by (le) (BUCKETS)", BUCKETS=promql.vector(buckets_of(histogram)))
    return promql.either(classic, native).prettify()


def _native_of(histogram: Selector) -> Selector:
    return Selector(histogram.metric.removesuffix("_bucket"), histogram.matchers)


def buckets_of(histogram: Selector) -> Selector:
    """The selector of its bucket series, whether the policy names the histogram or its buckets."""
    return Selector(histogram.metric if histogram.metric.endswith("_bucket") else f"{histogram.metric}_bucket", histogram.matchers)


def _question(tree: parser.Expr, query: Increases | Slower | Levels | Expression, unstamped: timedelta, part_label: str = PART) -> Question:
    series = 1 + len(query.parts) if isinstance(query, Increases) else 4
    return Question(tree.prettify(), query.identity.labels, query.only, unstamped, part_label, series)


def _grouped(reduce: str, tree: parser.Expr, identity: Identity) -> parser.Expr:
    return promql.fill(f"{reduce} by ({promql.labels(identity.labels)}) (TREE)", TREE=promql.derive(tree, identity.derived))


def _newest_in_window(selector: parser.Expr, identity: Identity, scrape_interval: timedelta, *, calmly: bool) -> parser.Expr:
    # One failed scrape marks every series of a target as gone, though what the window counted is still fresh (two scrapes are allowed).
    before = promql.parse(f"{selector.prettify()} offset {promql.duration(scrape_interval)}")
    looks = (selector,) if calmly else (selector, before)
    return promql.either(*(_grouped("max", promql.fill("timestamp(SELECTOR)", SELECTOR=one), identity) for one in looks))


def _newest_of_expression(tree: parser.Expr, identity: Identity) -> list[parser.Expr]:
    selectors = _selectors(tree)
    if not selectors:
        return []
    stamps = [promql.mark(promql.fill("timestamp(ONE)", ONE=one), PART, str(index)) for index, one in enumerate(selectors)]
    together = promql.either(*stamps)
    by_workload = promql.mark(_grouped("max", together, identity), PART, NEWEST)
    return [by_workload, promql.mark(promql.fill("max(ALL)", ALL=together), PART, NEWEST_OF_ALL)]


def _selectors(tree: parser.Expr) -> list[parser.Expr]:
    """Every selector of the expression once, without its offset: what counts is whether its series are still written."""
    found: dict[str, parser.Expr] = {}

    def note(node: parser.Expr) -> None:
        if isinstance(node, parser.VectorSelector) and not node.matchers.or_matchers:
            selector = promql.rebuilt(node)
            found[selector.prettify()] = selector

    parser.walk(tree, pre_visit=note)
    return list(found.values())


def _pushed_down(tree: parser.Expr, extra: Iterable[Matcher]) -> parser.Expr:
    return parser.transform(tree, post_visit=lambda node: promql.rebuilt(node, extra) if isinstance(node, parser.VectorSelector) else None)


def is_vector(tree: parser.Expr) -> bool:
    """Whether the expression has one value per series at an instant."""
    match tree:
        case parser.VectorSelector() | parser.AggregateExpr():
            return True
        case parser.ParenExpr() | parser.UnaryExpr():
            return is_vector(tree.expr)
        case parser.BinaryExpr():
            return is_vector(tree.lhs) or is_vector(tree.rhs)
        case parser.Call():
            return bool(tree.func.return_type == parser.ValueType.Vector)
    return False
