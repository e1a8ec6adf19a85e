"""What a daemon that watches nothing says of its journal: no slot comes there to tell of it."""

from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.notify.store_trouble import PATIENCE, StoreTrouble
from tests.policies.literals import T0

AWAY = StoreError("the server cannot be reached")


class Told:
    """What left past the store."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def __call__(self, notice: Notice) -> None:
        self.titles.append(notice.title)


@pytest.fixture
def store(tmp_path: Path):
    kept = Store.open(f"sqlite:///{tmp_path / 'rollbackd.db'}", "r2", lambda: T0)
    yield kept
    kept.close()


def test_a_short_outage_where_nothing_is_watched_is_over_by_itself(store: Store):
    told = Told()
    trouble = StoreTrouble(store, told)
    trouble.failed(str(AWAY))
    trouble.look_alone(T0)
    assert (trouble.fault, told.titles) == (None, [])


def test_an_outage_that_lasts_is_told_and_so_is_its_end(store: Store, monkeypatch: pytest.MonkeyPatch):
    told = Told()
    trouble = StoreTrouble(store, told)
    with monkeypatch.context() as away:
        away.setattr(Store, "prove_writable", _refuse)
        trouble.look_alone(T0)
        trouble.look_alone(T0 + PATIENCE)
        trouble.look_alone(T0 + PATIENCE + timedelta(minutes=1))
    trouble.look_alone(T0 + PATIENCE + timedelta(minutes=2))
    assert [title.partition(" since")[0] for title in told.titles] == ["NO ACTION TAKEN: r2 has had no journal", "r2 has its journal again"]
    assert trouble.fault is None


def _refuse(_: Store) -> None:
    raise AWAY
