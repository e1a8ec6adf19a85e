"""What a switch that people throw does not change: an incident that is held stays held, and a write that was begun goes on."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rollbackd.controller.answers.done import Declared, PauseState
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.notify.ways import stays_held
from rollbackd.controller.pause.switch import Switch
from rollbackd.controller.people.desk import Desk
from rollbackd.policies.known.incident import Incident, Phase, suspects_of
from rollbackd.policies.model.policy import Policy


class Pausing:
    """The pause switch, and what it means for the incidents that are open. Safe to call from several threads. Methods raise Denied."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._switch = Switch(desk.pause_switch, desk.store, desk.now)

    def pause(self, reason: str, who: str) -> PauseState:
        """Nothing more is begun from now on; the answer says what goes on all the same."""
        state = self._switch.pause(reason, who)
        # A journal that has just failed is not waited for once more: the engine knows what it wrote a moment ago.
        found = self._desk.engine.incidents if state.warning is not None else _open(self._desk)
        return replace(state, notes=(*state.notes, *_going_on(found or ())))

    def resume(self, who: str) -> PauseState:
        """Acting is allowed again; the answer says what the pause has held, which stays held."""
        state = self._switch.resume(who)
        if (found := _open(self._desk)) is None:
            return replace(state, notes=(*state.notes, "which incidents stay held is not known: see rollbackd status"))
        return replace(state, notes=(*state.notes, *_held_by("pause", found, dict(self._desk.engine.policies))))


def rearm(desk: Desk, asked: str, revision: str, who: str) -> Declared:
    """As ``Desk.rearm``; the answer says which incidents about the revision its quarantine has held: they stay held."""
    done = desk.rearm(asked, revision, who)
    changes = desk.engine.book.of([done.target])
    about = [each for each in _open(desk) or () if revision in [change.revision for change in suspects_of(each, changes)]]
    return replace(done, notes=_held_by("quarantine", about, dict(desk.engine.policies)))


def _open(desk: Desk) -> tuple[Incident, ...] | None:
    """The open incidents as the journal has them; None where it does not answer."""
    try:
        return desk.store.open_incidents()
    except StoreError:
        return None


def _going_on(found: Iterable[Incident]) -> tuple[str, ...]:
    return tuple(
        f"{each.id} is writing now (rung {each.intent.rung + 1} on {each.intent.target}): what was sent is not called back"
        for each in found
        if each.phase is Phase.ACTING and each.intent is not None
    )


def _held_by(guard: str, found: Iterable[Incident], policies: Mapping[str, Policy]) -> tuple[str, ...]:
    return tuple(stays_held(each, policies.get(each.policy)) for each in found if each.phase is Phase.HELD and each.held and each.held.guard == guard)
