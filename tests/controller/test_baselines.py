"""What was before a change is read once, by grouped questions, and the daemon, a backtest and a policy test judge by the same of it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.adapters.scrape import Scrape
from rollbackd.controller.backtest.cases import GivenChange
from rollbackd.controller.backtest.history import slots_between
from rollbackd.controller.backtest.run import Asked, run
from rollbackd.controller.backtest.spans import span_of
from rollbackd.controller.engine.observation import Observation
from rollbackd.controller.observe.baselines import Compared, read_before
from rollbackd.controller.observe.questions import asks_of
from rollbackd.controller.observe.readings import Observer
from rollbackd.controller.schedule import Grid
from rollbackd.policies.judge.verdict import State, Verdict
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Policy
from tests import servers
from tests.adapters.openmetrics import START
from tests.controller.backtest_samples import moment
from tests.controller.policytest_samples import POLICY as TESTED
from tests.controller.policytest_samples import outcome_in
from tests.controller.served import Said, desk_of
from tests.controller.world import World

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
CAME = timedelta(hours=26)
"""When the release came: there is a yesterday, and no last week."""
RUSH = CAME + 5 * MINUTE
END = CAME + 40 * MINUTE
WRITTEN = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: NAME}
spec:
  mode: auto
  target: {command: {name: shop}}
  every: 15s
  watch: 30m
  metrics: custom
  match: {app: NAME}
  rollback_when:
    - {name: queue, gauge: queue_depth, above: {of_before: 200%, at_least: 50}, unbounded: accepted}
    - name: errors
      ratio: {bad: 'requests_total{code="500"}', total: requests_total}
      above: {of_before: 300%}
  remedy:
    - revert: {to: known-good}
  notify: [oncall]
"""


def policy_of(name: str) -> Policy:
    (policy,) = load_policies({f"{name}.yaml": WRITTEN.replace("NAME", name)}).policies
    return policy


def is_rush(at: timedelta) -> bool:
    return RUSH <= at < RUSH + 20 * MINUTE


DEPTHS: dict[str, Callable[[timedelta], float]] = {
    "steady": lambda at: 100,
    "season": lambda at: 300 if is_rush(at) or is_rush(at + DAY) else 100,
    "shift": lambda at: 300 if is_rush(at) else 100,
}


def past() -> str:
    """A queue for each app, and requests of which 1 % fail; those of app errors fail in 10 % from the rush on."""
    moments = range(0, int(END.total_seconds()), 15)
    lines = ["# TYPE queue_depth gauge"]
    for app, depth in DEPTHS.items():
        lines += [f'queue_depth{{app="{app}"}} {depth(timedelta(seconds=at))} {START + at}' for at in moments]
    lines += ["# TYPE requests counter"]
    for app, code, share in ((app, *part) for app in (*DEPTHS, "errors") for part in (("500", 0.01), ("200", 0.99))):
        count = 0.0
        for at in moments:
            is_worse = app == "errors" and timedelta(seconds=at) >= RUSH
            count += 200 * (share if not is_worse else 0.1 if code == "500" else 0.9)
            lines.append(f'requests_total{{app="{app}",code="{code}"}} {count:.2f} {START + at}')
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    with servers.prometheus_with_history(past()) as running:
        yield running


def replayed(server: servers.Server, policy: Policy, came: datetime) -> tuple[str, str, dict[datetime, tuple[Verdict, ...]], datetime | None]:
    """What a backtest says of the release: the verdict, its reason, every look, and when it was found."""
    change = GivenChange(1, policy.target, came, revision="v2")
    (judged,) = run(Asked((policy,), (change,), moment(END)), lambda name: Prometheus(name, server.url)).judged
    looks = {look.at: look.verdicts for look in judged.looks}
    return judged.word, judged.reason, looks, judged.found.at if judged.found is not None else None


@pytest.mark.parametrize(
    ("app", "word", "reason"),
    [
        pytest.param("season", "ok", "", id="as-yesterday-at-this-time"),
        pytest.param("shift", "rollback", "queue 300 > 200, 200 % of 100 before (yesterday at this time 100)", id="not-as-yesterday"),
        pytest.param("steady", "ok", "", id="as-before"),
        pytest.param("errors", "rollback", "> 3.47 %, 300 % of at most 1.16 % before", id="errors-that-rose"),
    ],
)
def test_a_backtest_compares_with_before_and_with_yesterday(server: servers.Server, app: str, word: str, reason: str) -> None:
    policy = policy_of(app)
    found, why, _, _ = replayed(server, policy, Grid(policy.source, policy.every).slot(moment(CAME)))
    assert (found, reason in why) == (word, True), why


def test_the_daemon_judges_as_the_backtest_does(server: servers.Server, tmp_path: Path) -> None:
    policy = policy_of("shift")
    grid = Grid(policy.source, policy.every)
    came = grid.slot(moment(CAME))
    _, _, looks, found_at = replayed(server, policy, came)
    assert found_at is not None
    since, _ = span_of([policy], [GivenChange(1, policy.target, came, revision="v2")], None, None)
    world = World(tmp_path, policy, at=since)
    world.good("v1")
    observation = Observation(world.engine, Observer({policy.source: Prometheus(policy.source, server.url)}, lambda _: None), world.surveyor)
    verdicts = {}
    for at in slots_between(grid, since, found_at):
        world.at = at
        if at == came:
            world.deploy("v2")
        due = world.engine.due([policy], at)
        world.engine.cycle(observation.batch([policy], due, at))
        if due:
            verdicts[at] = world.engine.standings[policy.name].evaluation.verdicts
    (explained,) = desk_of(world, Said()).explain("shift").items
    assert explained.conditions[0].reason.startswith("queue 300 > 200, 200 % of 100 before (yesterday at this time 100)")
    world.rest()
    world.actor.close()
    observation.close()
    shared = {at: verdict for at, verdict in verdicts.items() if at in looks}
    assert len(shared) > 30
    assert shared == {at: looks[at] for at in shared}
    (incident,) = world.incidents()
    assert incident.opened_at == found_at
    assert incident.reason.startswith("queue 300 > 200, 200 % of 100 before (yesterday at this time 100) since")


def test_what_was_before_is_one_question_for_all_who_share_a_signal(server: servers.Server) -> None:
    source = Prometheus("prometheus", server.url)
    compared = [Compared(policy_of(app), moment(CAME), None) for app in ("season", "shift", "steady")]
    known = dict.fromkeys(ask.group for one in compared for ask in asks_of(one.policy, source.block(one.policy.every)))
    observer = Observer({"prometheus": source}, lambda _: None)
    _, asks = observer.asked_of([one.policy for one in compared])
    before = source.asked
    told = read_before(source, compared, asks, moment(CAME) + MINUTE)
    assert source.asked - before == 3 * len(known)  # the hour before, yesterday, and last week
    assert [told[name][0].centre for name in ("season", "shift", "steady")] == [100, 100, 100]
    assert [season.name for season in told["season"][0].seasons] == ["yesterday"]
    observer.close()


def test_a_source_without_history_proves_nothing_against_before() -> None:
    policy = policy_of("shift")
    source = Scrape("pages", tuple, interval=timedelta(seconds=15), now=lambda: moment(CAME))
    asks = {policy.name: asks_of(policy, source.block(policy.every))}
    told = read_before(source, [Compared(policy, moment(CAME), None)], asks, moment(CAME))
    assert {one.lack for one in told[policy.name]} == {
        "no baseline: the source tells nothing of the hour before the change (a scrape source keeps no such history)"
    }


BEFORE = TESTED.replace("above: 5%", "above: {of_before: 300%, at_least: 1%}")
GOOD, BAD = 'http_requests_total{app="checkout", code="200"}', 'http_requests_total{app="checkout", code="500"}'


@pytest.mark.parametrize(
    ("came", "state", "reason"),
    [
        pytest.param("85m", "breach", "of at most 1.", id="an-hour-before"),
        pytest.param("10m", "unproven", "no baseline: what is known of the hour before the change begins at 00:0", id="ten-minutes-before"),
    ],
)
def test_a_policy_test_gives_the_time_before_in_its_series(tmp_path: Path, came: str, state: str, reason: str) -> None:
    start = int(came[:-1]) * 4
    series = [{"series": GOOD, "values": "0+99x480"}, {"series": BAD, "values": f"0+1x{start} {start}+20x60"}]
    at = f"{int(came[:-1]) + 8}m"
    test = {
        "name": "one",
        "series": series,
        "changes": [{"at": came, "revision": "v2"}],
        "known_good": ["v1"],
        "expect": [{"at": at, "verdicts": {"error-rate": state}}],
    }
    outcome = outcome_in(tmp_path, test, BEFORE)
    assert [str(mismatch) for mismatch in outcome.mismatches] == []
    last = outcome.looks[-1]
    assert reason in last.reasons[0]
    assert last.states == (State(state),)
