"""Route 53 in bad weather: one batch, never two, and every refusal names its reason and what a person can do."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rollbackd.adapters.aws.failures import Denied, Throttled, WrongAccount
from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.target import Standing
from tests.aws.front import Fault
from tests.aws.front import front as front_of
from tests.aws.names import Settling, open_names, plain, weighted
from tests.aws.servers import Microburst, microburst
from tests.servers import Server

WRITE = {"service": "route53", "operation": "ChangeResourceRecordSets"}
BUSY = {**WRITE, "error": {"code": "PriorRequestNotComplete", "status": 400}}


@pytest.fixture(scope="module")
def front(ministack: Server) -> Iterator[Microburst]:
    with microburst(ministack.url) as front:
        yield front


@pytest.fixture(autouse=True)
def calm(front: Microburst, aws_keys: None) -> None:
    front.rules()


def fired(front: Microburst) -> int:
    """How many batches met a fault. Rules of one test fire for no other."""
    return len([each for each in front.fired() if each["operation"] == "ChangeResourceRecordSets"])


@contextlib.contextmanager
def during_the_write(front: Microburst, edit: Callable[[], object]) -> Iterator[None]:
    """Somebody edits after our last look, while the batch is held up on its way."""
    before = fired(front)
    front.rules({**WRITE, "latency": 1500})

    def once_held() -> None:
        while fired(front) == before:
            time.sleep(0.02)
        edit()

    somebody = threading.Thread(target=once_held)
    somebody.start()
    yield
    somebody.join()


def test_a_reply_that_is_lost_after_the_change_leaves_one_change_that_is_found(front: Microburst, ministack: Server) -> None:
    names = open_names(ministack.url)
    plan, before, clock = names.plan(), fired(front), iter((0.0, 60.0))
    front.rules({**WRITE, "response": {"truncate_frac": 0.5}})
    target = names.target(front.url, clock=lambda: next(clock))
    with pytest.raises(Transient, match="Whether it was done is unknown"):
        target.apply(plan)
    assert fired(front) - before == 1
    assert [target.look(plan.intent).standing for _ in range(2)] == [Standing.UNDERWAY, Standing.THERE]
    with pytest.raises(Refused):
        target.apply(plan)
    assert fired(front) - before == 1


def test_an_empty_answer_to_a_batch_that_was_taken_is_no_fault(ministack: Server) -> None:
    names, clock = open_names(ministack.url), iter((0.0, 60.0))
    plan = names.plan()
    with front_of(ministack.url) as emptied:
        emptied.faults.append(Fault("ChangeResourceRecordSets", lost="body"))
        target = names.target(emptied.url, clock=lambda: next(clock))
        target.apply(plan)
        assert [target.look(plan.intent).standing for _ in range(2)] == [Standing.UNDERWAY, Standing.THERE]


def test_a_change_that_never_arrived_stands_before(front: Microburst, ministack: Server) -> None:
    names = open_names(ministack.url)
    plan = names.plan()
    front.rules({**WRITE, "reset": True})
    with pytest.raises(Transient):
        names.target(front.url).apply(plan)
    assert names.look(plan.intent).standing is Standing.BEFORE


def test_a_busy_zone_is_waited_for(front: Microburst, ministack: Server) -> None:
    names, slept = open_names(ministack.url), list[float]()
    front.rules({**BUSY, "times": 3})
    target = names.target(front.url, of=Settling, sleep=slept.append)
    target.apply(names.plan(target))
    assert slept[:3] == [1.0, 2.0, 4.0]
    assert names.state().revision == names.before


def test_a_zone_that_stays_busy_took_nothing(front: Microburst, ministack: Server) -> None:
    names = open_names(ministack.url)
    plan = names.plan()
    front.rules(BUSY)
    with pytest.raises(Throttled, match=r"PriorRequestNotComplete.*Nothing was changed"):
        names.target(front.url).apply(plan)
    assert names.look(plan.intent).standing is Standing.BEFORE


def test_a_record_that_is_changed_while_the_zone_is_busy_is_left_alone(front: Microburst, ministack: Server) -> None:
    names = open_names(ministack.url)
    plan = names.plan()
    front.rules({**BUSY, "times": 1})
    target = names.target(front.url, sleep=lambda _: names.put(plain(names.name, "192.0.2.3")))
    with pytest.raises(Refused, match="no longer at"):
        target.apply(plan)
    assert names.state().revision == "A ttl=60 192.0.2.3"


def test_a_record_that_is_changed_after_the_last_look_is_left_alone(front: Microburst, ministack: Server) -> None:
    names = open_names(ministack.url)
    plan = names.plan()
    with (
        during_the_write(front, lambda: names.put(plain(names.name, "192.0.2.3"))),
        pytest.raises(Refused, match=r"was changed in this very moment, to A ttl=60 192\.0\.2\.3"),
    ):
        names.target(front.url).apply(plan)
    assert names.look(plan.intent).standing is Standing.ELSEWHERE


def test_a_record_that_would_stay_and_is_drained_after_the_last_look_is_not_left_alone_with_a_bad_one(front: Microburst, ministack: Server) -> None:
    def shared(green: int) -> Any:
        return lambda name: [weighted(name, "blue", 100, "192.0.2.1"), weighted(name, "green", green, "192.0.2.2")]

    names = open_names(ministack.url, shared(0), shared(100))
    plan = names.plan()
    with (
        during_the_write(front, lambda: names.put(weighted(names.name, "blue", 0, "192.0.2.1"))),
        pytest.raises(Refused, match="was changed in this very moment, to A#blue weight=0"),
    ):
        names.target(front.url).apply(plan)
    assert "A#green weight=100" in names.state().revision


def test_a_protected_name_is_given_to_people(front: Microburst, ministack: Server) -> None:
    names = open_names(ministack.url)
    plan, before = names.plan(), fired(front)
    front.rules({**WRITE, "error": {"code": "InvalidChangeBatch", "status": 400, "message": "the name has a resource record set protection"}})
    with pytest.raises(Permanent, match=r"The name stands as before; if it is protected, .* list-resource-record-set-protections --hosted-zone-id Z"):
        names.target(front.url).apply(plan)
    assert fired(front) - before == 1
    assert names.look(plan.intent).standing is Standing.BEFORE


def test_a_denied_change_names_the_permission_and_what_a_person_does(front: Microburst, ministack: Server) -> None:
    names = open_names(ministack.url)
    plan = names.plan()
    front.rules({**WRITE, "error": {"code": "AccessDenied", "status": 403}})
    with pytest.raises(Denied, match="route53:ChangeResourceRecordSets on arn:aws:route53:::hostedzone/ZONE_ID"):
        names.target(front.url).apply(plan)
    assert plan.command.startswith(f"aws route53 change-resource-record-sets --hosted-zone-id {names.zone_id} --change-batch ")


def test_another_account_is_refused_before_anything_is_sent(ministack: Server) -> None:
    names = open_names(ministack.url)
    plan = names.plan()
    with pytest.raises(WrongAccount):
        names.target(id="999988887777").apply(plan)
    assert names.look(plan.intent).standing is Standing.BEFORE
    (line,) = names.target(id="999988887777").check([names.key])
    assert "and not of 999988887777" in line
