"""A double of CloudWatch's GetMetricData: MiniStack takes trimmed counts for averages, moto refuses them, and neither has pages or messages.

It speaks the wire: its answers are parsed by the real SDK, and each is held against the service model before it leaves. It obeys Amazon's limits: 500
metrics and 100,800 points for a request; a metric that nobody published is Complete and empty.
"""

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

Raw = dict[str, Any]
MINUTE = 60
_RANGE = re.compile(r"TC\(([\d.]*):([\d.]*)\)")


@dataclass
class CloudWatchDouble:
    """A running double. ``asked``: the requests, in order. ``page``: so many metrics a page. What goes wrong is set by the test.

    ``statuses``: by the metric's name. ``refusals``: the error codes of the next requests. ``endless``: the answer never ends.
    """

    url: str
    samples: dict[tuple[str, str, frozenset[tuple[str, str]]], list[tuple[float, float]]] = field(default_factory=dict)
    asked: list[Raw] = field(default_factory=list)
    page: int = 500
    statuses: dict[str, str] = field(default_factory=dict)
    messages: list[Raw] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    endless: bool = False

    def put(self, metric: str, values: list[float], at: datetime, **dimensions: str) -> None:
        """These samples of the metric ``NAMESPACE/NAME`` were taken at that moment."""
        namespace, _, name = metric.rpartition("/")
        self.samples.setdefault((namespace, name, frozenset(dimensions.items())), []).extend((at.timestamp(), value) for value in values)

    def count(self, metric: str, total: int, at: datetime, **dimensions: str) -> None:
        """So many single events in one sample: what load balancers publish."""
        self.put(metric, [float(total)], at, **dimensions)


@contextlib.contextmanager
def cloudwatch_double() -> Iterator[CloudWatchDouble]:
    """An empty double on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    double = CloudWatchDouble(f"http://127.0.0.1:{server.server_address[1]}")
    server.double = double  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self) -> None:
        double: CloudWatchDouble = self.server.double  # type: ignore[attr-defined]
        said = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        assert self.headers.get("X-Amz-Target") == "GraniteServiceVersion20100801.GetMetricData"
        double.asked.append(said)
        if code := double.refusals.pop(0) if double.refusals else _beyond(said):
            self._send(400, {"__type": code, "message": code})
            return
        found = _answer(double, said)
        _check(found)
        self._send(200, found)

    def _send(self, status: int, found: Raw) -> None:
        body = json.dumps(found, default=datetime.timestamp).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def _beyond(said: Raw) -> str:
    points = (said["EndTime"] - said["StartTime"]) / MINUTE * len(said["MetricDataQueries"])
    return "ValidationError" if len(said["MetricDataQueries"]) > 500 or points > 100_800 else ""


def _answer(double: CloudWatchDouble, said: Raw) -> Raw:
    queries, first = said["MetricDataQueries"], int(said.get("NextToken", 0))
    results = [_result(double, query, said) for query in queries[first : first + double.page]]
    rest = first + double.page
    more = {"NextToken": str(rest)} if rest < len(queries) else {"NextToken": "0"} if double.endless else {}
    return {"MetricDataResults": results, "Messages": double.messages, **more}


def _result(double: CloudWatchDouble, query: Raw, said: Raw) -> Raw:
    metric, stat = query["MetricStat"]["Metric"], query["MetricStat"]["Stat"]
    dimensions = frozenset((each["Name"], each["Value"]) for each in metric.get("Dimensions", ()))
    by_period: dict[int, list[float]] = {}
    for at, value in double.samples.get((metric["Namespace"], metric["MetricName"], dimensions), ()):
        if said["StartTime"] <= at < said["EndTime"]:
            by_period.setdefault(int(at // MINUTE) * MINUTE, []).append(value)
    found = {start: computed for start, values in sorted(by_period.items(), reverse=True) if (computed := _stat(stat, values)) is not None}
    stamps = [datetime.fromtimestamp(start, UTC) for start in found]
    status = double.statuses.get(metric["MetricName"], "Complete")
    return {"Id": query["Id"], "Label": metric["MetricName"], "Timestamps": stamps, "Values": list(found.values()), "StatusCode": status}


def _stat(stat: str, values: list[float]) -> float | None:
    if trimmed := _RANGE.fullmatch(stat):
        low, high = (float(bound) if bound else edge for bound, edge in zip(trimmed.groups(), (-float("inf"), float("inf")), strict=True))
        # Without the lower bound, with the upper; none at all has no datapoint.
        return float(sum(low < value <= high for value in values)) or None
    return {"Sum": sum(values), "SampleCount": len(values), "Average": sum(values) / len(values), "Maximum": max(values), "Minimum": min(values)}[
        stat
    ]


@cache
def _shape() -> Any:
    return botocore.session.get_session().get_service_model("cloudwatch").operation_model("GetMetricData").output_shape


def _check(found: Raw) -> None:
    """Raises AssertionError if Amazon's model has no such answer."""
    report = ParamValidator().validate(found, _shape())
    assert not report.has_errors(), report.generate_report()
    known = _shape().members["MetricDataResults"].member.members["StatusCode"].enum
    assert {each["StatusCode"] for each in found["MetricDataResults"]} <= set(known)
