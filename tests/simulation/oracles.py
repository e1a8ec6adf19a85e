"""The eleven promises as questions to the journal and to the outside, asked after every step. They share no code with what they judge."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from rollbackd.controller.journal.chain import verify
from rollbackd.controller.journal.values import How, Standing
from rollbackd.policies.known.events import RungEnd
from rollbackd.policies.model.readings import Counts, Reading
from tests.simulation.outside import Accepted, Send
from tests.simulation.shop import EVERY, WATCH

if TYPE_CHECKING:
    from tests.simulation.replica import Replica
    from tests.simulation.world import World

LIMIT = 0.05
Ends: TypeAlias = tuple[str, str]
"""The revisions that a write goes from and to."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Violation(AssertionError):
    """A promise was broken. ``name``: which."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class Acts:
    """What the journal says of one incident, gathered row by row."""

    def __init__(self, opened: dict[str, Any]) -> None:
        self.opened = opened
        self.first_at: datetime | None = None
        self.rungs: list[int] = []
        self.intents: dict[tuple[int, str], Ends] = {}
        self.is_held = self.is_closed = self.is_acked = False
        self.closed_at: datetime | None = None
        self.order: dict[str, Any] | None = None  # what a person has ordered, and nobody has begun

    def is_ordered(self, intended: dict[str, Any]) -> bool:
        """Whether this step is what a person has ordered."""
        return self.order is not None and (intended["by"], intended["rung"]) == ([self.order["who"]], self.order["rung"])


class Oracles:
    """``look`` after every step, ``look_back`` at the end. Both raise Violation."""

    GOOD = (Standing.GOOD, How.DECLARED)

    def __init__(self, world: "World") -> None:
        self.world = world
        self.acts: dict[str, Acts] = {}
        self.accepted: list[Accepted] = []
        self.sends: dict[tuple[str, str, str], int] = {}
        self.notices: set[str] = set()
        self._seq = 0
        self._broken: Violation | None = None
        self._rows: dict[str, Callable[[str, dict[str, Any]], None]] = {
            "incident.opened": self._opened,
            "rung.intended": self._intended,
            "rung.stopped": self._stopped,
            "incident.held": self._held,
            "incident.acked": self._acked,
            "incident.closed": self._closed,
            "rung.offered": self._offered,
            "incident.ordered": self._ordered,
        }
        world.outside.on_send = lambda send: self._kept(lambda: self.sent(send))
        world.outside.on_accept = lambda write: self._kept(lambda: self.taken(write))

    @property
    def incidents(self) -> int:
        return len(self.acts)

    def look(self) -> None:
        """Nothing that the last step wrote breaks a promise."""
        if self._broken is not None:
            raise self._broken
        rows = self._ask("SELECT seq, writer, kind, body FROM journal WHERE seq > ? ORDER BY seq", self._seq)
        for seq, writer, kind, body in rows:
            self._seq = seq
            if kind in self._rows:
                self._rows[kind](writer, json.loads(body))

    def written_last(self, target: str) -> str:
        """The newest incident on what this target's policy watches that wrote; empty where none did."""
        wrote = {one.intent.incident for one in self.accepted}
        return next((name for name, act in reversed(self.acts.items()) if act.opened["target"] == target and name in wrote), "")

    def is_quiet(self) -> bool:
        """Nothing is under way, and nobody is still to be told anything."""
        under_way = "SELECT 1 FROM incidents WHERE phase NOT IN ('held', 'closed')"
        waiting = "SELECT 1 FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL"
        return not any(self._ask(query) for query in (under_way, waiting, "SELECT 1 FROM claims WHERE ended_at IS NULL"))

    def _kept(self, ask: Callable[[], None]) -> None:
        """What is broken is raised by the next look: here the product would catch it, as it catches every bug in an adapter."""
        try:
            ask()
        except Violation as broken:
            self._broken = self._broken or broken

    # --- what leaves and what arrives -----------------------------------------------------------------------------------------------------

    def sent(self, send: Send) -> None:
        """I2: its intent is durable, and whole. I8: nothing is sent while paused. I1: once for each claimant."""
        self.look()
        intent = send.intent
        found = self._ask("SELECT body FROM journal WHERE kind = 'rung.intended' AND incident = ? AND target = ?", intent.incident, intent.target)
        bodies = [json.loads(body) for (body,) in found]
        same = [b for b in bodies if (b["from_revision"], b["to_revision"]) == (intent.from_revision, intent.to_revision)]
        if not same or not all(same[-1][name] for name in ("plan_digest", "evidence_digest", "deadline")):
            raise Violation("I2", f"{intent} was sent without a durable intent that says so")
        if self._is_paused(send.replica):
            raise Violation("I8", f"{intent} was sent while paused")
        key = (intent.incident, intent.target, intent.to_revision)
        self.sends[key] = self.sends.get(key, 0) + 1
        claimants = self._ask("SELECT sum(attempts) FROM claims WHERE incident = ? AND target = ?", intent.incident, intent.target)[0][0] or 0
        if self.sends[key] > claimants:
            raise Violation("I1", f"{intent} was sent {self.sends[key]} times by {claimants} claimants")

    def taken(self, write: Accepted) -> None:
        """I1: one effect for each rung. I4: it met what was judged. I5: its end state was there to go to."""
        intent, now = write.intent, self.world.clock.now
        before = self._accepted(intent.incident, intent.target, (intent.from_revision, intent.to_revision))
        # A flag carries no mark: whether somebody took our write back, or it never arrived, looks the same there.
        is_taken_back = before and "flagd" in intent.target and self._foreign(before[-1].at, now, {intent.target})
        if before and not is_taken_back:
            raise Violation("I1", f"{intent} was accepted twice, at {before[-1].at:%H:%M:%S} and {now:%H:%M:%S}")
        if write.found != intent.from_revision:
            raise Violation("I4", f"{intent} met {write.found}")
        if write.kept and intent.to_revision not in write.kept:
            raise Violation("I5", f"{intent.to_revision} was not there any more")
        self.accepted.append(write)

    # --- what the journal says ------------------------------------------------------------------------------------------------------------

    def _opened(self, _: str, body: dict[str, Any]) -> None:
        for other in self.acts.values():
            if (other.opened["target"], other.opened["change_id"]) == (body["target"], body["change_id"]):
                raise Violation("I1", f"change {body['change_id']} was answered twice")
            if other.opened["target"] == body["target"] and not other.is_closed:
                raise Violation("I1", f"two incidents are open on {body['target']}")
        self.acts[body["incident"]] = Acts(body)

    def _intended(self, writer: str, body: dict[str, Any]) -> None:
        replica = next(each for each in self.world.replicas if each.name == writer)
        act = self.acts[body["incident"]]
        # Where transactions wait, a pause may come before this one: then the second look, just before the write, stops it (``sent``).
        if self._is_paused(writer) and not self.world.outside.is_slow:
            raise Violation("I8", f"rung {body['rung']} of {body['incident']} began while paused")
        is_ordered = act.is_ordered(body)
        if act.order is not None and not is_ordered:
            raise Violation("order", f"rung {body['rung']} of {body['incident']} began instead of what {act.order['who']} had ordered")
        if (act.is_held and not is_ordered) or act.is_closed or (act.rungs and body["rung"] <= act.rungs[-1]):
            raise Violation("I11", f"rung {body['rung']} of {body['incident']} after rungs {act.rungs}, held: {act.is_held}, closed: {act.is_closed}")
        if act.is_acked and not body["by"]:
            raise Violation("ack", f"rung {body['rung']} of {body['incident']} began by itself after somebody had taken the incident")
        undone = act.order["undo"] if is_ordered and act.order is not None else None
        if undone is None:
            self._to_a_good_end(body)
        else:
            self._to_where_it_was(body, undone)
        if not is_ordered:  # what a person decides needs no proof, and they may know who else is at work
            self._on_proof(replica, act)
            self._after_no_other(replica, body)
        act.order = None
        act.intents[body["rung"], body["target"]] = body["from_revision"], body["to_revision"]
        if act.first_at is None:
            self._within_budgets(act, is_cool=undone is not None)
            self._alone(replica, act)
            act.first_at = self.world.clock.now
        act.rungs.append(body["rung"])
        self._told(f"{body['incident']}:started:{body['rung']}")

    def _offered(self, _: str, body: dict[str, Any]) -> None:
        """An order of a person comes before everything that the machine would ask."""
        if self.acts[body["incident"]].order is not None:
            raise Violation("order", f"people are asked about rung {body['rung']} of {body['incident']} instead of what was ordered")
        self._told(f"{body['incident']}:approval:{body['rung']}:{body['plan_digest'][:12]}:{_moment(body)}")

    def _ordered(self, _: str, body: dict[str, Any]) -> None:
        act = self.acts[body["incident"]]
        act.order, act.is_held = body, False

    def _stopped(self, _: str, body: dict[str, Any]) -> None:
        """A write that the target took is not told as one that was never made, unless somebody else has written since."""
        intended = self.acts[body["incident"]].intents.get((body["rung"], body["target"]))
        mine = [] if intended is None else self._accepted(body["incident"], body["target"], intended)
        if mine and body["how"] in UNWRITTEN and not self._foreign(mine[-1].at, self.world.clock.now, {body["target"]}):
            raise Violation("outcome", f"rung {body['rung']} of {body['incident']} was accepted, and is told as {body['how']}: {body['reason']}")

    def _held(self, _: str, body: dict[str, Any]) -> None:
        if body["guard"] == "bug":
            raise Violation("bug", body["reason"])
        act = self.acts[body["incident"]]
        if act.order is not None and act.order["undo"] and body["guard"] == "cool-down":
            raise Violation("order", f"{body['incident']} takes a write back, and waits for the cool-down that this very write began")
        act.is_held, act.order = True, None
        self._told(f"{body['incident']}:held:{body['guard']}:{_moment(body)}")

    def _acked(self, _: str, body: dict[str, Any]) -> None:
        self.acts[body["incident"]].is_acked = True

    def _closed(self, _: str, body: dict[str, Any]) -> None:
        act = self.acts[body["incident"]]
        act.is_closed, act.closed_at = True, self.world.clock.now
        self._told(f"{body['incident']}:{body['how']}")

    # --- one promise each -----------------------------------------------------------------------------------------------------------------

    def _on_proof(self, replica: "Replica", act: Acts) -> None:
        """I3: the newest that this replica was told is known, and it was told of a breach."""
        given = replica.given.get(act.opened["policy"], [])
        slept = abs(self.world.clock.now - replica.frozen_until) < timedelta(minutes=1)  # then it may go on with what it had decided
        if not _is_proof(given) and not ((slept or self._was_planning(replica, act)) and _is_proof(given[:-1])):
            raise Violation("I3", f"{act.opened['incident']} acts on {given}")

    def _was_planning(self, replica: "Replica", act: Acts) -> bool:
        """A plan takes its while: what was decided before the newest answer came, between two slots, is not decided again on it."""
        again = replica.again_at.get(act.opened["target"])
        if again is None or again >= replica.given_at[act.opened["policy"]]:
            return False
        return self.world.clock.now - again <= timedelta(seconds=2 * self.world.story.slow)

    def _to_a_good_end(self, body: dict[str, Any]) -> None:
        """I5: workloads go to what is known good, flags to their safe state."""
        if not body["reverts"]:
            ends = {state["variant"] for state in body["record"]["after"].values()}
            if ends != {"off"}:
                raise Violation("I5", f"a flag was to go to {ends}")
            return
        known = self._ask("SELECT standing FROM ledger WHERE target = ? AND revision = ?", body["target"], body["to_revision"])
        if known != [("good",)]:
            raise Violation("I5", f"{body['target']} was to go to {body['to_revision']}, which is {known}")

    def _to_where_it_was(self, body: dict[str, Any], undone: dict[str, Any]) -> None:
        """I5: what is taken back goes exactly to what was there before; of flags those that are as they were left."""
        if body["target"] != undone["target"]:
            raise Violation("I5", f"{body['target']} was to be written to take back what was written to {undone['target']}")
        after, before = body["record"].get("after"), undone["record"].get("before")
        is_back = body["to_revision"] == undone["from_revision"] if after is None else after.items() <= before.items()
        if not is_back:
            raise Violation("I5", f"{body['target']} was to go to {body['to_revision']}, {after}, to take back {undone}")

    def _within_budgets(self, act: Acts, *, is_cool: bool) -> None:
        """I6: counted over all replicas and lives from the journal's rows. ``is_cool``: no cool-down holds it."""
        now, limits = self.world.clock.now, self.world.story.settings.limits
        target = act.opened["target"]
        others = [one for one in self.acts.values() if one.first_at is not None]
        aloft = [one for one in others if not one.is_held and not one.is_closed]
        here = [one for one in aloft if _namespace(one) == _namespace(act)]
        hour = [one for one in others if now - _at(one.first_at) < HOUR]
        day = [one for one in others if one.opened["target"] == target and now - _at(one.first_at) < DAY]
        ended = [one for one in others if one.opened["target"] == target and one.closed_at and not is_cool]
        cooling = [one for one in ended if now - _at(one.closed_at) < limits.cooldown - SKEW]
        used = (len(aloft), limits.in_flight), (len(here), limits.in_flight_per_namespace), (len(hour), limits.per_hour)
        if cooling or any(count >= limit for count, limit in (*used, (len(day), limits.per_target_per_day))):
            raise Violation("I6", f"{act.opened['incident']} acted beyond the budgets: {used}, {len(day)} a day, cooling: {len(cooling)}")

    def _alone(self, replica: "Replica", act: Acts) -> None:
        """I7: not while two others break without a change of their own."""
        broken = [one.key for one in self.world.services if one.key != act.opened["target"] and self._breaks_alone(replica, one.policy)]
        if len(broken) >= 2:
            raise Violation("I7", f"{act.opened['incident']} acts while {broken} break without a change")

    def _breaks_alone(self, replica: "Replica", policy: Any) -> bool:
        given = replica.given.get(policy.name, [])[-2:]
        if len(given) < 2 or not all(isinstance(one, Counts) and one.most > 0.5 * one.total for one in given):
            return False
        asked = ", ".join("?" * len(policy.targets))
        since = _text(self.world.clock.now - WATCH - 2 * EVERY)
        query = f"SELECT count(*) FROM changes WHERE target IN ({asked}) AND NOT ours AND predecessor <> '' AND coalesce(ready, first_seen) >= ?"
        recent = self._ask(query, *policy.targets, since)[0][0]
        return not recent and not any(one.opened["target"] == policy.target for one in self.acts.values())

    def _after_no_other(self, replica: "Replica", body: dict[str, Any]) -> None:
        """I10: nothing more after this replica saw another writer behind our write, the newest one where a flag took it twice (``taken``)."""
        for write in {(one.intent.incident, one.intent.target): one for one in self.accepted}.values():
            watched = self.acts[body["incident"]].opened["target"]
            if write.intent.incident == body["incident"] and self._is_known(write):
                seen = min(replica.saw.get(key, write.at) for key in (write.intent.target, watched))
                if self._foreign(write.at, seen - timedelta(seconds=1), {write.intent.target, watched}):
                    raise Violation("I10", f"rung {body['rung']} of {body['incident']} after another writer was seen")

    def _is_known(self, write: Accepted) -> bool:
        """A flag carries no mark: a write whose answer nobody heard, and which was taken back, looks as if it had never been made."""
        applied = "SELECT 1 FROM journal WHERE kind = 'rung.applied' AND incident = ? AND target = ?"
        return "flagd" not in write.intent.target or bool(self._ask(applied, write.intent.incident, write.intent.target))

    def _told(self, notice: str) -> None:
        """I9: whoever must know will, since the message is as durable as its cause."""
        self.notices.add(notice)
        if any(heard.id == notice for heard in self.world.pager.heard):  # what was told to the end may be gone from the outbox
            return
        if not self._ask("SELECT 1 FROM outbox WHERE id >= ? AND id < ? LIMIT 1", f"{notice}/", f"{notice}0"):
            raise Violation("I9", f"nobody is told {notice}")

    def look_back(self) -> None:
        """Once all is calm: every message arrived, nothing is under way for ever, and the chain holds."""
        self.look()
        if missing := self.notices - {notice.id for notice in self.world.pager.heard}:
            raise Violation("I9", f"nobody heard {sorted(missing)}")
        if open_claims := self._ask("SELECT incident, rung, target, claimant FROM claims WHERE ended_at IS NULL"):
            raise Violation("lost", f"nobody knows what became of {open_claims}")
        under_way = self._ask("SELECT id, phase FROM incidents WHERE phase NOT IN ('held', 'closed')")
        if under_way:
            raise Violation("lost", f"nobody ends {under_way}")
        if broken := verify(self.world.replicas[0].store.rows()):
            raise Violation("audit", str(broken))

    # --- parts ------------------------------------------------------------------------------------------------------------------------------

    def _accepted(self, incident: str, target: str, ends: Ends) -> list[Accepted]:
        """The writes of one rung that its target took. What takes a write back and a later rung may share a target, not both ends."""
        here = [one for one in self.accepted if (one.intent.incident, one.intent.target) == (incident, target)]
        return [one for one in here if (one.intent.from_revision, one.intent.to_revision) == ends]

    def _is_paused(self, name: str) -> bool:
        replica = next(each for each in self.world.replicas if each.name == name)
        said = self._ask("SELECT kind FROM journal WHERE kind IN ('pause.set', 'pause.lifted') ORDER BY seq DESC LIMIT 1")
        return replica.pause.file.exists() or said == [("pause.set",)]

    def _foreign(self, after: datetime, until: datetime, targets: set[str]) -> bool:
        return any(after < one.at <= until and one.target in targets for one in self.world.outside.foreign)

    def _ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self.world.memory.raw.execute(query, values).fetchall()


UNWRITTEN = {end.value for end in (RungEnd.NOTHING, RungEnd.NO_SUSPECT, RungEnd.REFUSED, RungEnd.SUPERSEDED)}
"""Ends of a step that say that nothing was written."""
SKEW = timedelta(minutes=3)
"""So far replicas' clocks may be apart in a story: closing times are theirs."""


def _is_proof(given: Sequence[Reading]) -> bool:
    """The newest is known, and a breach is among what is known."""
    known = [one for one in given if isinstance(one, Counts)]
    return bool(known) and given[-1] is known[-1] and any(one.most > LIMIT * one.total for one in known)


def _namespace(act: Acts) -> str:
    return str(act.opened["target"].split("/")[1])


def _at(moment: datetime | None) -> datetime:
    assert moment is not None
    return moment


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moment(body: Mapping[str, Any]) -> str:
    """When it was, as the id of a message spells it."""
    return f"{datetime.fromisoformat(body['at']):%Y%m%dT%H%M%S.%f}"
