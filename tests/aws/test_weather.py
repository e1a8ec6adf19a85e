"""Every adapter in the same weather: each declared call throttled and denied, each write lost and late. One rollback, never two.

The calls are those that the adapters declare, so that none can be forgotten: one that no ride takes along fails here.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from rollbackd.adapters.aws import Aws
from rollbackd.adapters.aws.alb.calls import ALB
from rollbackd.adapters.aws.calls import ASSUME_ROLE, GET_CALLER_IDENTITY, Call, Declared
from rollbackd.adapters.aws.cloudwatch.calls import CLOUDWATCH
from rollbackd.adapters.aws.declarations import ALL
from rollbackd.adapters.aws.ecs.calls import ECS
from rollbackd.adapters.aws.failures import Denied, Expired, WrongAccount
from rollbackd.adapters.aws.rds.calls import RDS
from rollbackd.adapters.aws.route53.calls import ROUTE53
from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.target import Standing
from tests.aws.ecs_double import ecs_double
from tests.aws.front import Fault, Front, front
from tests.aws.rides import Ride, Stage, Under, entered, ride_of
from tests.servers import Server

ACTING = tuple(declared for declared in ALL if declared is not CLOUDWATCH)
"""Those that write; what is only read is in test_cloudwatch_weather."""
CALLS = [
    pytest.param(declared, call, id=f"{declared.name}-{call.operation}")
    for declared in ACTING
    for call in (*sorted(declared.calls, key=str), GET_CALLER_IDENTITY, *((ASSUME_ROLE,) if declared is RDS else ()))
]
"""The databases are entered by a role; the others would assume one in the same way."""
WRITES = [param for param in CALLS if param.values[1].writes]  # type: ignore[attr-defined, union-attr]  # a Call
ADAPTERS = pytest.mark.parametrize("adapter", ACTING, ids=lambda adapter: adapter.name)


class Weather:
    """The fronts before the stand-ins, and our accounts behind them."""

    def __init__(self, behind: Callable[[str], tuple[object, Front]]) -> None:
        self._behind = behind
        self._entered: dict[tuple[str, str], Aws] = {}

    def opened(self, ride: Ride, **more: str) -> tuple[Under, Front]:
        """Something bad runs, and nothing has been asked yet. ``more``: of the account, which is entered anew then."""
        place, front = self._behind(ride.behind)
        front.calm()
        stage = ride.open(place)
        aws = entered(front.url, stage, **more) if more else self._known(front, stage)
        return Under(stage, stage.target(aws)), front

    def _known(self, front: Front, stage: Stage) -> Aws:
        """Clients of the SDK take longer to make than all that they ask."""
        key = (front.url, repr(stage.account))
        return self._entered.setdefault(key, entered(front.url, stage)) if key not in self._entered else self._entered[key]


@pytest.fixture(scope="module")
def weather(request: pytest.FixtureRequest) -> Iterator[Weather]:
    with ExitStack() as stack:

        @cache
        def behind(name: str) -> tuple[object, Front]:
            if name == "ecs":
                double = stack.enter_context(ecs_double())
                return double, stack.enter_context(front(double.url))
            server: Server = request.getfixturevalue(name)
            return server.url, stack.enter_context(front(server.url))

        yield Weather(behind)


@pytest.fixture(autouse=True)
def keys(aws_keys: None) -> None:
    """Nobody's."""


def written(front: Front, ride: Ride) -> list[str]:
    """The writes that Amazon was given."""
    return [name for name in front.passed if name in ride.writes]


@pytest.mark.parametrize(("adapter", "call"), CALLS)
def test_a_call_that_is_throttled_once_is_asked_again_and_the_rollback_ends(weather: Weather, adapter: Declared, call: Call) -> None:
    ride = ride_of(adapter, call.operation)
    under, front = weather.opened(ride, **_anew(call))
    front.faults.append(Fault(call.operation, "ThrottlingException", times=1))
    sight = under.ridden(ride)
    assert front.asked.count(call.operation) > 1, f"no ride takes {call} along: write one in tests/aws/rides.py"
    assert (sight.standing, written(front, ride)) == (Standing.THERE, list(ride.writes)), sight


@pytest.mark.parametrize(("adapter", "call"), CALLS)
def test_a_call_that_is_denied_is_named_with_its_permission_and_nothing_is_written_twice(weather: Weather, adapter: Declared, call: Call) -> None:
    ride = ride_of(adapter, call.operation)
    under, front = weather.opened(ride, **_anew(call))
    front.faults.append(Fault(call.operation, "AccessDeniedException"))
    try:
        under.ridden(ride)
    except AdapterError as fault:
        under.told.append(str(fault))
    (told, *_) = [line for line in under.told if f": {call.permission} on " in line] or [f"nothing names {call.permission}: {under.told}"]
    assert "By hand: aws " in told, told
    assert written(front, ride) == list(ride.writes)[: len(written(front, ride))]
    assert call.operation not in written(front, ride)


def _anew(call: Call) -> dict[str, str]:
    """Who has entered an account and was proven to be of it does not ask again: only somebody new meets the weather of these calls."""
    return {"name": "prod"} if call.service == "sts" else {}


@pytest.mark.parametrize("lost", ["after", "late"])
@pytest.mark.parametrize(("adapter", "call"), WRITES)
def test_a_write_without_an_answer_is_sent_once_and_found_when_it_is_done(weather: Weather, adapter: Declared, call: Call, lost: str) -> None:
    ride = ride_of(adapter, call.operation)
    under, front = weather.opened(ride)
    plan = under.plan()
    front.faults.append(Fault(call.operation, lost=lost))
    with pytest.raises(Transient, match="Whether it was done is unknown"):
        under.target.apply(plan)
    if lost == "late":
        assert under.seen(plan).standing is Standing.BEFORE
        front.catch_up()
    # Only the last write of a way moves the target; what came before it serves nobody yet.
    assert under.seen(plan).standing is (Standing.THERE if call.operation == ride.writes[-1] else Standing.BEFORE)
    assert front.asked.count(call.operation) == front.passed.count(call.operation) == 1


@ADAPTERS
def test_a_token_that_expires_at_the_write_is_renewed_and_the_write_done_once(weather: Weather, adapter: Declared) -> None:
    ride = ride_of(adapter, "")
    under, front = weather.opened(ride)
    front.faults.append(Fault(ride.writes[-1], "ExpiredTokenException", times=1))
    assert under.ridden(ride).standing is Standing.THERE
    assert written(front, ride) == list(ride.writes)
    first, again = (place for place, name in enumerate(front.asked) if name == ride.writes[-1])
    assert set(front.asked[first + 1 : again]) - {"GetCallerIdentity", "AssumeRole"}, "it was sent again without another look"


@ADAPTERS
def test_a_token_that_stays_expired_writes_nothing_and_says_what_to_do(weather: Weather, adapter: Declared) -> None:
    ride = ride_of(adapter, "")
    under, front = weather.opened(ride)
    plan = under.plan()
    front.faults += [Fault(name, "ExpiredTokenException") for name in ride.writes]
    with pytest.raises(Expired, match=r"Nothing was changed\. Renew them\. By hand: aws "):
        under.target.apply(plan)
    assert (written(front, ride), under.seen(plan).standing) == ([], Standing.BEFORE)


@ADAPTERS
def test_credentials_of_another_account_write_nothing(weather: Weather, adapter: Declared) -> None:
    ride = ride_of(adapter, "")
    under, front = weather.opened(ride)
    plan = under.plan()
    wrong = under.stage.target(entered(front.url, under.stage, id="999988887777"))
    wrong.survey([under.stage.key])  # a provider of flags knows what it read itself
    with pytest.raises(WrongAccount, match=r"and not of 999988887777\. Nothing was changed"):
        wrong.apply(plan)
    assert (written(front, ride), under.seen(plan).standing) == ([], Standing.BEFORE)


@ADAPTERS
def test_what_is_taken_away_after_the_plan_gets_no_write(weather: Weather, adapter: Declared) -> None:
    ride = ride_of(adapter, "")
    under, front = weather.opened(ride)
    plan = under.plan()
    under.stage.vanish()
    with pytest.raises((Permanent, Refused)):
        under.target.apply(plan)
    assert written(front, ride) == []


@pytest.mark.parametrize("adapter", [ALB, ECS, ROUTE53], ids=lambda adapter: adapter.name)
def test_what_is_taken_away_after_the_write_was_taken_by_another_writer(weather: Weather, adapter: Declared) -> None:
    ride = ride_of(adapter, "")
    under, front = weather.opened(ride)
    plan = under.plan()
    under.target.apply(plan)
    under.stage.vanish()
    sight = under.seen(plan)
    assert (sight.standing, sight.revision) == (Standing.ELSEWHERE, "")
    assert "Another writer took it away." in sight.reason
    assert isinstance(under.target.survey([plan.intent.target])[plan.intent.target], Permanent)
    assert [line.partition(": ")[0] for line in under.target.check([plan.intent.target])] == [plan.intent.target]
    assert written(front, ride) == list(ride.writes)


@ADAPTERS
def test_what_may_not_be_read_after_the_write_is_not_called_taken_away(weather: Weather, adapter: Declared) -> None:
    ride = ride_of(adapter, "")
    under, front = weather.opened(ride)
    plan = under.plan()
    under.target.apply(plan)
    front.faults += [Fault(call.operation, "AccessDeniedException") for call in adapter.calls if not call.writes]
    with pytest.raises(Denied):
        under.target.look(plan.intent)
