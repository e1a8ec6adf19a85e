"""Series that were born inside a window: ``increase`` loses their first value, so an error counter born at 37 would count nothing.

A birth adds all that the newborn series counted, and is believed only where it is certain, since a counter at a million that comes back after
a gap would look like a million events. Certain is: its target was scraped with success when the window began and did not show it. Not believed is

- a target that nobody scraped then, as after an outage of Prometheus, and one whose labels are new: its counters may be old;
- a series that was there an hour before: it comes back;
- a series of a target that lost others of the same metric meanwhile: they may have been relabelled.

Of the parts of a share a process that began inside the window counts in full, which is how new pods come. Not so of a mere number of events:
an exporter that was restarted shows what others have counted for months, of which a share stays a share, and a number becomes a false one.
"""

from datetime import timedelta

import promql_parser as parser

from rollbackd.adapters.prometheus import promql

MEMORY = timedelta(hours=1)
"""A series that was there so long before the window comes back; it was not born."""
TARGET = "on (job, instance)"


def increase_with_births(counter: parser.Expr, window: timedelta, *, is_share: bool) -> parser.Expr:
    """How much each series grew in the window; of those that were born in it, all they counted. ``is_share``: it is a part of a share."""
    return promql.either(_born(counter, window, is_share=is_share), increase(counter, window))


def increase(counter: parser.Expr, window: timedelta) -> parser.Expr:
    """How much each series grew in the window after its first sample there: all that there is to count where none is ``newborn``."""
    return promql.fill(f"increase(COUNTER[{promql.duration(window)}])", COUNTER=counter)


def newborn(counter: parser.Expr, window: timedelta) -> parser.Expr:
    """The series of the window that were not there when it began."""
    # The largest value, not the newest: of what a restart interrupted it is less than the truth, but never more.
    text = f"max_over_time(COUNTER[{promql.duration(window)}]) unless BEFORE"
    return promql.fill(text, COUNTER=counter, BEFORE=_ago(counter, window))


def _born(counter: parser.Expr, window: timedelta, *, is_share: bool) -> parser.Expr:
    before, new = _ago(counter, window), newborn(counter, window)
    shown = promql.fill(
        f"(NEW unless LONG_BEFORE unless {TARGET} (BEFORE unless COUNTER)) and {TARGET} (up and (UP_BEFORE == 1))"
        # With one scrape in the window nothing that was there before has an increase: the newborn would be all that there is.
        f" and {TARGET} (sum_over_time(up[{promql.duration(window)}]) > 1)",
        NEW=new,
        LONG_BEFORE=_ago(counter, window + MEMORY),
        BEFORE=before,
        COUNTER=counter,
        UP_BEFORE=_ago(promql.parse("up"), window),
    )
    if not is_share:
        return shown
    seconds = window.total_seconds()
    young = promql.fill(f"NEW and {TARGET} (process_start_time_seconds > time() - {seconds:g})", NEW=new)
    return promql.either(shown, young)


def _ago(selector: parser.Expr, span: timedelta) -> parser.Expr:
    return promql.parse(f"{selector.prettify()} offset {promql.duration(span)}")
