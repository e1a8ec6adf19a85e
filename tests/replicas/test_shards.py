"""Daemons with ``--shard`` on one journal: each undoes what breaks in its own part, once; what is of another part it leaves alone, come what may."""

import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from rollbackd.controller.journal.values import Entry
from tests.postgres import Postgres
from tests.replicas.shards import STORIES, Ending, played

TARGETS = ("command:shop", "command:basket")
ROWS = ["incident.opened", "rung.intended", "rung.applied", "rung.settled", "incident.closed"]


@pytest.fixture(scope="module")
def endings(daemons: None, postgresql: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ending]:
    """How each story ended; both are played at the same time."""
    folder = tmp_path_factory.mktemp("shards")
    with ThreadPoolExecutor(len(STORIES)) as pool:
        futures = {name: pool.submit(played, tell, folder / f"shards-{name}", postgresql) for name, tell in STORIES.items()}
        return {name: future.result() for name, future in futures.items()}


@pytest.fixture(params=STORIES)
def ending(request: pytest.FixtureRequest, endings: Mapping[str, Ending]) -> Ending:
    """How one of the stories ended, and then the other."""
    return endings[request.param]


def of_incidents(ending: Ending, target: str) -> list[Entry]:
    """The rows of the target's incidents, oldest first."""
    opened = [entry.incident for entry in ending.record.entries if entry.kind == "incident.opened" and entry.target == target]
    return [entry for entry in ending.record.entries if entry.incident in opened]


def test_each_service_is_written_to_once_and_whole(ending: Ending) -> None:
    assert ending.each == ((1, False), (1, False))


def test_each_has_one_incident_from_its_opening_to_its_recovery(ending: Ending) -> None:
    assert [[entry.kind for entry in of_incidents(ending, target)] for target in TARGETS] == [ROWS, ROWS]
    assert [of_incidents(ending, target)[-1].body["how"] for target in TARGETS] == ["recovered", "recovered"]


def test_all_of_an_incident_is_the_work_of_its_own_part(ending: Ending) -> None:
    writers = [{entry.writer for entry in of_incidents(ending, target)} for target in TARGETS]
    assert [len(each) for each in writers] == [1, 1]
    assert [writer.endswith(name) for (writer,), name in zip(writers, ending.names, strict=True)] == [True, True]


def test_each_message_reaches_on_call_once(ending: Ending) -> None:
    incidents = [of_incidents(ending, target)[0].incident for target in TARGETS]
    assert sorted(told.id for told in ending.told) == sorted(f"{incident}:{said}" for incident in incidents for said in ("started:0", "recovered"))
    assert ending.record.unsent == 0


def test_the_chains_of_both_writers_hold(ending: Ending) -> None:
    assert ending.record.chain is None
    assert len({entry.writer for entry in ending.record.entries}) == 2


def test_all_that_are_not_killed_end_well(endings: Mapping[str, Ending]) -> None:
    assert endings["both-at-work"].codes == ((0,), (0,))
    assert endings["one-away"].codes == ((0,), (-signal.SIGKILL, 0))


def test_while_a_part_has_no_daemon_nobody_acts_for_it(endings: Mapping[str, Ending]) -> None:
    alone, each = endings["one-away"].alone or pytest.fail("nobody was away")
    assert each == ((1, False), (0, True))
    assert (alone.rows, alone.of("incident.opened").target) == (ROWS, TARGETS[0])
