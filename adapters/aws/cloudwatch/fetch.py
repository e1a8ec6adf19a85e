"""GetMetricData within its limits: batches, pages, and for each metric either all of its points or why they cannot be trusted."""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from rollbackd.adapters.aws.access import Caller
from rollbackd.adapters.aws.cloudwatch.calls import GET_METRIC_DATA
from rollbackd.adapters.aws.cloudwatch.metrics import Metric
from rollbackd.adapters.aws.cloudwatch.periods import PERIOD, Heard, Range, points
from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.shape import shaped
from rollbackd.adapters.base.wording import cut, one_line

MOST_METRICS = 500
MOST_POINTS = 100_800
"""Of one request."""
MOST_PAGES = 50
"""An answer that goes on for longer than that is not read to its end."""


class Fetch:
    """Asks, and counts what it costs: ``asked`` requests for ``metrics`` metrics; Amazon takes money for each metric of each request."""

    def __init__(self, name: str, caller: Caller) -> None:
        self._name = name
        self._caller = caller
        self._lock = threading.Lock()
        self.asked = 0
        self.metrics = 0

    def read(self, metrics: Sequence[Metric], asked: Range) -> dict[Metric, Heard]:
        """What each metric says of these periods. Raises Transient or Permanent."""
        size = max(1, min(MOST_METRICS, MOST_POINTS // max(1, (asked.end - asked.start) // PERIOD)))
        found: dict[Metric, Heard] = {}
        for first in range(0, len(metrics), size):
            found.update(self._batch(metrics[first : first + size], asked))
        return found

    def clock(self, asked: Range) -> datetime:
        """What the time is at Amazon, by the answer to a question about nothing that exists. Raises Transient or Permanent."""
        nothing = Metric("AWS/ECS", "MemoryUtilization", (("ClusterName", "rollbackd-doctor"), ("ServiceName", "none")), "Average")
        answer = self._ask([_query(0, nothing)], asked, None)
        with shaped(f"{self._name}: the answer"):
            return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])

    def _batch(self, metrics: Sequence[Metric], asked: Range) -> dict[Metric, Heard]:
        queries = [_query(number, metric) for number, metric in enumerate(metrics)]
        results = _Results(self._name)
        token: str | None = None
        for _ in range(MOST_PAGES):
            answer = self._ask(queries, asked, token)
            with shaped(f"{self._name}: the answer"):
                results.take(answer)
                token = answer.get("NextToken")
            if not token:
                return results.of(metrics)
        raise Transient(f"{self._name}: the answer has more than {MOST_PAGES} pages, so it was not used: look at the source")

    def _ask(self, queries: Sequence[Mapping[str, Any]], asked: Range, token: str | None) -> dict[str, Any]:
        with self._lock:
            self.asked += 1
            self.metrics += len(queries) if token is None else 0
        more = {} if token is None else {"NextToken": token}
        times = {"StartTime": asked.start, "EndTime": asked.end}  # of the periods' starts, the last one left out
        return self._caller.read(GET_METRIC_DATA, MetricDataQueries=queries, ScanBy="TimestampDescending", **times, **more)


def _query(number: int, metric: Metric) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in metric.dimensions]
    # No unit: a metric that has another one would be answered as if it had no data.
    return {
        "Id": f"m{number}",
        "MetricStat": {
            "Metric": {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": dimensions},
            "Period": int(PERIOD.total_seconds()),
            "Stat": metric.stat,
        },
        "ReturnData": True,
    }


class _Results:
    """The pages of one request, put together."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._points: dict[str, dict[datetime, float]] = {}
        self._status: dict[str, str] = {}
        self._messages: dict[str, str] = {}
        self._said = ""

    def take(self, answer: Mapping[str, Any]) -> None:
        """One more page."""
        self._said = self._said or _words(answer.get("Messages"))
        for result in answer["MetricDataResults"]:
            key = result["Id"]
            self._points.setdefault(key, {}).update(points(result["Timestamps"], result["Values"]))
            self._status[key] = result["StatusCode"]
            if said := _words(result.get("Messages")):
                self._messages[key] = said

    def of(self, metrics: Sequence[Metric]) -> dict[Metric, Heard]:
        """What the pages come to. A metric that is not wholly there is not there: the missing part may be the one that matters."""
        found: dict[Metric, Heard] = {}
        for number, metric in enumerate(metrics):
            why = self._fault(f"m{number}")
            found[metric] = f"{self._name}: {metric.name} ({metric.stat}) cannot be trusted: {why}" if why else self._points[f"m{number}"]
        return found

    def _fault(self, key: str) -> str:
        status = self._status.get(key, "no answer")
        said = self._messages.get(key) or self._said
        if status != "Complete":
            return f"CloudWatch said {status}{f': {said}' if said else ''}"
        return f"CloudWatch remarked {said}" if said else ""


def _words(messages: object) -> str:
    if not isinstance(messages, list) or not messages:
        return ""
    return cut(one_line("; ".join(f"{each.get('Code')} {each.get('Value', '')}".strip() for each in messages)), 200)
