import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.codec import KINDS, Undecodable, canonical, decode, decode_event, kind_of, moment, moment_text
from rollbackd.policies.known.events import Blame, IncidentEvent, RungEnd, Stopped
from rollbackd.policies.model.policy import Mode
from tests.controller.journal_samples import APPLIED, CLOSED, EVENTS, INTENDED, JOINED, OPENED, STOPPED, T0, notice

TIMES = st.datetimes(timezones=st.just(UTC))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
RECORD = st.dictionaries(st.text(), JSON, max_size=3)


def built(event: type[IncidentEvent]) -> st.SearchStrategy[IncidentEvent]:
    """Any such event: every time with a zone, every mapping of JSON values."""
    known = {datetime: TIMES, datetime | None: st.none() | TIMES, Mapping[str, Any]: RECORD}
    hints = get_type_hints(event).items()
    return st.builds(event, **{name: known[hint] for name, hint in hints if hint in known})


EVENT = st.one_of([built(event) for event in KINDS.values()])


@given(EVENT)
def test_every_event_comes_back_equal(event: IncidentEvent) -> None:
    assert decode_event(kind_of(event), canonical(event)) == event


@given(st.builds(Notice, at=TIMES))
def test_every_notice_comes_back_equal(each: Notice) -> None:
    assert decode(Notice, canonical(each)) == each


@given(TIMES, TIMES)
def test_times_sort_as_text_the_way_they_sort_as_times(one: datetime, other: datetime) -> None:
    assert (moment_text(one) < moment_text(other)) == (one < other)
    assert moment(moment_text(one)) == one


def test_every_kind_of_event_has_a_name_and_the_names_never_change() -> None:
    assert set(KINDS.values()) == set(get_args(IncidentEvent))
    assert [kind_of(event) for event in EVENTS] == [
        "incident.opened",
        "incident.joined",
        "rung.intended",
        "rung.applied",
        "rung.settled",
        "rung.stopped",
        "incident.held",
        "incident.closed",
    ]


def test_a_row_on_disk_reads_like_this_and_never_otherwise() -> None:
    assert canonical(STOPPED) == (
        '{"advice":"look at the pods","at":"2025-03-01T03:00:00.000000Z","how":"failed","incident":"inc-1","reason":"0 of 3 ready","rung":0,'
        '"target":"kubernetes:prod/shop/deployment/checkout"}'
    )
    assert json.loads(canonical(OPENED))["mode"] == "auto"


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    assert moment_text(datetime(2025, 3, 1, 5, 0, tzinfo=timezone(timedelta(hours=2)))) == "2025-03-01T03:00:00.000000Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        canonical(replace(CLOSED, at=datetime(2025, 3, 1)))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"raw", object()], ids=["nan", "inf", "set", "bytes", "object"])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical({"value": value})


def test_keys_that_an_older_version_did_not_write_take_their_default() -> None:
    body = json.loads(canonical(replace(INTENDED, record={}, command="")))
    for name in ("record", "command", "steps", "not_undone", "complete_by", "settle_seconds"):
        del body[name]
    assert decode_event("rung.intended", json.dumps(body)) == replace(INTENDED, record={})


def test_a_condition_that_joined_before_joins_said_what_they_blame_reads_as_it_did() -> None:
    body = json.loads(canonical(JOINED))
    assert "blame" not in body  # nor does one of now, where there is none: an older version beside it knows no such key
    assert decode_event("incident.joined", json.dumps(body)) == JOINED
    blaming = replace(JOINED, blame=Blame(("uid/7",), T0, ("flag-event-3",)))
    assert decode_event("incident.joined", canonical(blaming)) == blaming


def _without(key: str) -> str:
    return json.dumps({name: value for name, value in json.loads(canonical(STOPPED)).items() if name != key})


def _with(**changes: Any) -> str:
    return json.dumps(json.loads(canonical(STOPPED)) | changes)


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        pytest.param("rung.stopped", _with(colour="red"), "Stopped: unknown key 'colour'; a newer rollbackd wrote it", id="unknown-key"),
        pytest.param("rung.stopped", _without("how"), "Stopped: key 'how' is missing", id="missing-key"),
        pytest.param("rung.stopped", _with(how="given up"), "Stopped.how: expected a RungEnd, found 'given up'", id="unknown-enum"),
        pytest.param("rung.stopped", _with(how=3), "Stopped.how: expected text, found 3", id="enum-by-number"),
        pytest.param("rung.stopped", _with(rung="0"), "Stopped.rung: expected a value of type int, found '0'", id="number-as-text"),
        pytest.param("rung.stopped", _with(rung=True), "Stopped.rung: expected a value of type int, found True", id="bool-as-number"),
        pytest.param("rung.stopped", _with(at="yesterday"), "Stopped.at: expected a datetime, found 'yesterday'", id="no-time"),
        pytest.param("rung.stopped", _with(target=None), "Stopped.target: expected a value of type str, found None", id="null"),
        pytest.param("rung.stopped", "[]", "Stopped: expected an object, found []", id="no-object"),
        pytest.param("rung.stopped", "{", "no JSON", id="no-json"),
        pytest.param("rung.paused", "{}", "unknown kind 'rung.paused'", id="unknown-kind"),
        pytest.param("incident.opened", canonical(OPENED).replace('["uid/7"]', '"uid/7"'), "Opened.suspects: expected a list", id="no-list"),
    ],
)
def test_a_body_that_this_version_cannot_read_is_refused_by_name(kind: str, body: str, message: str) -> None:
    with pytest.raises(Undecodable) as found:
        decode_event(kind, body)
    assert str(found.value).startswith(message)


def test_an_enum_is_written_by_name_so_that_its_prose_may_change() -> None:
    for how in RungEnd:
        assert json.loads(canonical(Stopped("i", APPLIED.at, 0, "t", how, "r")))["how"] == how.name.lower()
    for mode in Mode:
        assert json.loads(canonical(replace(OPENED, mode=mode)))["mode"] == mode.name.lower()


@dataclass(frozen=True)
class _Pair:
    items: tuple[int, str]
    inner: "Notice | None" = None


def test_fixed_tuples_and_nested_values_come_back_equal() -> None:
    pair = _Pair((1, "a"), notice("n-1"))
    assert decode(_Pair, canonical(pair)) == pair
    with pytest.raises(Undecodable, match="expected 2 items"):
        decode(_Pair, '{"items": [1]}')
