"""What the doctor says of the pause switch, here and where replicas share a journal."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from rollbackd.controller.clock import now
from rollbackd.controller.doctor.findings import Grade
from rollbackd.controller.journal.schema import LINEAGE
from rollbackd.controller.journal.store import Store
from rollbackd.controller.pause.shared import SharedPause
from rollbackd.controller.pause.switch import Switch
from tests.controller.patient import Patient
from tests.postgres import Postgres
from tests.servers import free_port


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


@pytest.fixture
def elsewhere(patient: Patient, journal_url: str) -> Iterator[Switch]:
    """The switch of another replica on the patient's journal, with a folder of its own."""
    patient.config = {"store": journal_url}
    (patient.folder / "other").mkdir()
    store = Store.open(journal_url, "other")
    yield Switch(SharedPause(patient.folder / "other" / "pause", store), store, now)
    store.close()


@pytest.mark.parametrize(
    ("arrange", "grade"),
    [
        pytest.param(lambda file: None, "pass", id="off"),
        pytest.param(lambda file: file.write_text("database move"), "warn", id="on"),
        pytest.param(lambda file: file.mkdir(), "fail", id="unreadable"),
    ],
)
def test_the_pause_switch(patient: Patient, arrange: Callable[[Path], None], grade: str) -> None:
    arrange(patient.folder / "data" / "pause")
    assert patient.lines("pause") == [("pause", "data/pause", grade)]


def test_a_pause_on_another_replica_is_told_until_it_is_lifted(patient: Patient, elsewhere: Switch) -> None:
    elsewhere.pause("game day", "ann")
    found = patient.only("pause")
    assert (found.grade, found.found.startswith("paused: game day (paused by ann on other at ")) == (Grade.WARN, True)
    elsewhere.resume("ann")
    assert [(f.grade, f.found) for f in patient.findings("pause")] == [(Grade.PASS, "not paused")]


def test_the_shared_journal_is_only_read(patient: Patient, elsewhere: Switch, journal_url: str) -> None:
    elsewhere.pause("game day", "ann")
    with psycopg.connect(journal_url) as connection:  # another replica writes all the while
        connection.execute("LOCK TABLE journal IN SHARE ROW EXCLUSIVE MODE")
        rows = connection.execute("SELECT count(*) FROM journal").fetchone()
        assert patient.only("pause").grade is Grade.WARN
        assert connection.execute("SELECT count(*) FROM journal").fetchone() == rows


def test_a_shared_journal_that_cannot_be_asked_may_hold_a_pause_and_fails(patient: Patient) -> None:
    patient.config = {"store": f"postgresql://rollbackd@127.0.0.1:{free_port()}/rollbackd"}
    found = patient.only("pause")
    assert (found.grade, "the server cannot be reached" in found.found) == (Grade.FAIL, True)


def test_a_database_without_a_journal_yet_holds_no_pause(patient: Patient, journals: Postgres) -> None:
    patient.config = {"store": journals.url("template1")}
    assert patient.only("pause").grade is Grade.PASS


def test_a_shared_journal_of_an_older_version_is_not_asked_and_that_is_a_warning(patient: Patient, elsewhere: Switch, journal_url: str) -> None:
    elsewhere.pause("game day", "ann")
    with psycopg.connect(journal_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [LINEAGE[0]])
    found = patient.only("pause")
    assert (found.grade, "not known" in found.found) == (Grade.WARN, True)
