"""What the local API answers and does. Reads the running daemon, writes through the store, decides nothing."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from rollbackd.adapters.base.target import Target
from rollbackd.controller.act.dry_run import dry_run
from rollbackd.controller.answers.denied import FAULTY, Denied, near, near_policy
from rollbackd.controller.answers.done import Declared, FromHistory
from rollbackd.controller.answers.explain import Explanation, PowerLine
from rollbackd.controller.answers.past import ChangeLine, ChangeList, DryRun, History
from rollbackd.controller.answers.status import Coverage, DaemonLine, PolicyList, SourceLine, Status
from rollbackd.controller.engine.fleet import as_counted
from rollbackd.controller.engine.view import EngineView, Facts, PolicyView, policy_views
from rollbackd.controller.explain.claim import claim_line
from rollbackd.controller.explain.coverage import Fleets
from rollbackd.controller.explain.covered_changes import covered_changes
from rollbackd.controller.explain.ended import ended_lines
from rollbackd.controller.explain.freezes import freeze_lines
from rollbackd.controller.explain.policy import explained, policy_line, word
from rollbackd.controller.explain.preview import Preview
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import SeenChange
from rollbackd.controller.notify.telling import change_line, history_line
from rollbackd.controller.observe.changes import HORIZON
from rollbackd.controller.observe.readings import SourceHealth
from rollbackd.controller.pause.file import Pause
from rollbackd.controller.people.bootstrap import Bootstrap
from rollbackd.controller.people.posted import Posted
from rollbackd.policies.blame.attribution import known_changes
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.model.keys import parse_target, shared_key
from rollbackd.policies.model.policy import Policy


class Desk:
    """Safe to call from several threads. Methods raise Denied and StoreError."""

    def __init__(
        self,
        engine: EngineView,
        store: Store,
        pause: Pause,
        targets: Mapping[str, Target],
        health: Callable[[], Mapping[str, SourceHealth]],
        facts: Callable[[], Facts],
        now: Callable[[], datetime],
        *,
        default_cluster: str | None = None,
        fleets: Fleets | None = None,
        preview: Preview | None = None,
        bootstrap: Bootstrap | None = None,
        longest_wait: Callable[[], timedelta] = timedelta,
    ) -> None:
        """``longest_wait``: of a slot for its source, while that hangs."""
        self.engine = engine
        self.store = store
        self.health = health
        self.facts = facts
        self.now = now
        self.pause_switch = pause
        self.targets = targets
        self.longest_wait = longest_wait
        self._cluster = default_cluster
        self.fleets = fleets or Fleets()
        self._preview = preview or Preview({})
        self._bootstrap = bootstrap or Bootstrap(store, {}, targets)

    # --- what is ------------------------------------------------------------------------------------------------------------------------

    def fleet(self) -> Fleet:
        """What the guards need: the breaches of the last slot; budgets, quarantine and the pause switch as they stand now."""
        return replace(as_counted(self.engine.fleet, self.store), paused=self.paused())

    def paused(self) -> str | None:
        """Why nothing may be acted on; None where it may."""
        try:
            return self.pause_switch.read()
        except StoreError as fault:
            return f"{fault}; unreadable means paused"

    def unready(self) -> str | None:
        """Why the daemon cannot do its work: no policies, or a store that does not answer. None where it can."""
        try:
            self.store.outbox_state()
        except StoreError as fault:
            return str(fault)
        if self.engine.trouble.fault is not None:
            return self.engine.trouble.fault
        if self.engine.policies or self.engine.spared:
            return None
        return self.fleets.unread() if self.fleets.lines() else self.facts().reload.fault or "no policies are loaded"

    def status(self) -> Status:
        """Everything at a glance."""
        sources = tuple(SourceLine(name, seen.seen, seen.fault) for name, seen in sorted(self.health().items()))
        now, freezes = self.now(), self.engine.settings.limits.freezes
        ended, more = ended_lines(self.store, now)
        return Status(now, self._daemon(), sources, self.policies().items, self.fleets.lines(), freeze_lines(freezes, now), ended, more)

    def coverage(self) -> Coverage:
        """Which targets are watched, and which changes could have been undone; the clusters are asked now what they run and keep."""
        policies, now, age = dict(self.engine.policies), self.now(), self.engine.settings.limits.known_good_max_age
        return replace(self.fleets.coverage(policies, now), changes=covered_changes(self.store, policies.values(), self.targets, age, now))

    def policies(self) -> PolicyList:
        """Every loaded policy in a row."""
        return PolicyList(tuple(policy_line(view) for view in self._views().values()))

    def explain(self, asked: str, *, with_power: bool = False) -> Explanation:
        """Why the policy of this name, or every policy that watches this target, acts or does not.

        ``with_power``: and what each bounded condition would find; the sources are asked for a week of traffic.
        """
        views = self._views()
        self._refuse_fleet(asked)
        found = [views[asked]] if asked in views else self._watching(asked, views)
        good = self.known_good(target for view in found for target in view.policy.targets)
        power = self._power if with_power else lambda view: ()
        return Explanation(self.now(), asked, tuple(replace(explained(view, good), power=power(view)) for view in found))

    def changes(self, asked: str | None, limit: int) -> ChangeList:
        """The newest changes [of this target], newest first."""
        target = None if asked is None else self.resolve(asked)
        seen = self.store.changes(None if target is None else [target], None if asked else self.now() - HORIZON)
        if target is not None and not seen:
            self._refuse_unknown(target)
        newest = sorted(seen, key=lambda each: each.change.first_seen, reverse=True)[:limit]
        standings = {(k.target, k.revision): k.standing for target in {s.change.target for s in newest} for k in self.store.ledger(target)}
        return ChangeList(tuple(change_line(each, standings.get((each.change.target, each.change.revision))) for each in newest))

    def history(self, asked: str | None, limit: int) -> History:
        """The newest journal rows [of this target and its incidents] [of this incident], newest first."""
        if asked is not None and asked.startswith("inc-"):
            self.incident(asked)
            return History(tuple(history_line(entry) for entry in self.store.history(limit, incident=asked)))
        target = None if asked is None else self.resolve(asked)
        rows = self.store.history(limit, target=target)
        if target is not None and not rows:
            self._refuse_unknown(target)
        return History(tuple(history_line(entry) for entry in rows))

    def incident(self, asked: str) -> Incident:
        """The incident, open or closed. Raises Denied where there is none, and where its story was moved away."""
        found = self.store.incident(asked)
        if found is not None:
            return found
        if (closed := self.store.closed_at(asked)) is not None:
            moved = f"the story of {asked}, closed at {closed:%Y-%m-%d %H:%M:%S} UTC, was moved into a file by rollbackd compact"
            raise Denied("unknown", moved, f"read it there: zgrep {asked} FILE")
        listed = ", ".join(incident.id for incident in self.store.open_incidents()) or "none"
        raise Denied("unknown", f"there is no incident {asked!r}", f"open incidents: {listed}")

    def plan(self, name: str) -> DryRun:
        """What the policy's ladder would write now."""
        policy = self.policy(name)
        own = (each for each in self.store.open_incidents() if (each.target, each.policy) == (policy.target, policy.name))
        return self.plan_in(next(own, None), policy)

    def plan_in(self, incident: Incident | None, policy: Policy) -> DryRun:
        """The same, for what this open incident of the policy is about."""
        known = known_changes(policy, self.engine.book.of(policy.targets), self.fleet())
        return dry_run(policy, self.targets, self.engine.book, self.known_good(policy.targets), incident, known)

    # --- what is done -------------------------------------------------------------------------------------------------------------------

    def post(self, posted: Posted) -> ChangeLine:
        """The change is a suspect from now on; the same revision and start posted again are the same change."""
        shared = shared_key(posted.target)
        change = posted.as_change(shared if shared in self._depended_on() else self._changed(posted.target), self.now())
        with self.store.transaction() as tx:
            held = tx.see_change(SeenChange(change))
        self.engine.wake(change.target)
        is_named = change.target in self._watched() or change.target in self._depended_on()
        warning = None if is_named else f"no policy names {change.target}: it is in the journal, and no suspect of any"
        return replace(change_line(held, None), warning=warning)

    def good_from_history(self, asked: str, who: str) -> FromHistory:
        """What the target's own past proved good is known good, unless somebody declared it bad or it is in quarantine."""
        target = self.watched(asked)
        return self._bootstrap.learn(target, [p for p in dict(self.engine.policies).values() if p.target == target], who, self.now())

    def rearm(self, asked: str, revision: str, who: str) -> Declared:
        """The revision is out of quarantine: it may be acted on again, and may be declared good."""
        target = self.watched(asked)
        with self.store.transaction() as tx:
            was_changed = tx.rearm(target, revision, who, self.now())
        if not was_changed:
            listed = ", ".join(sorted(r for t, r in self.store.quarantined() if t == target)) or "none"
            raise Denied("unknown", f"revision {revision} of {target} is not in quarantine", f"in quarantine: {listed}")
        self.engine.wake(target)
        return Declared(target, revision, None, was_changed, f"{revision} is out of quarantine")

    # --- what the requests name ---------------------------------------------------------------------------------------------------------

    def resolve(self, asked: str) -> str:
        """The target's whole key. Raises Denied."""
        try:
            return parse_target(asked, self._cluster)
        except ValueError as fault:
            named = self.engine.policies.get(asked)
            raise Denied("invalid", str(fault), f"{asked} is a policy; its target is {named.target}" if named else "") from fault

    def _changed(self, asked: str) -> str:
        try:
            return self.resolve(asked)
        except Denied as fault:
            raise Denied("invalid", str(fault), fault.hint or "a name alone is taken once a policy has it in depends_on") from fault

    def watched(self, asked: str) -> str:
        """The key of a target that a policy names. Raises Denied."""
        target, known = self.resolve(asked), self._watched()
        if target not in known:
            raise Denied("unknown", f"no policy names the target {target}", near(target, known))
        return target

    def policy(self, asked: str) -> Policy:
        """The policy of this name, or the only one that watches this target. Raises Denied."""
        policies = dict(self.engine.policies)
        if asked in policies:
            return policies[asked]
        self._refuse_fleet(asked)
        target = self.resolve(asked) if any(mark in asked for mark in ":/") else asked
        found = [policy for policy in policies.values() if policy.target == target]
        if len(found) > 1:
            raise Denied("invalid", f"several policies watch {target}", f"name one: {', '.join(sorted(p.name for p in found))}")
        if not found:
            self._refuse_faulty(asked, target)
            raise Denied("unknown", f"there is no policy {asked!r}", near_policy(asked, {name: policy.target for name, policy in policies.items()}))
        return found[0]

    def known_good(self, targets: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The revisions that a revert may go to, by target, newest first."""
        since = self.now() - self.engine.settings.limits.known_good_max_age
        return {target: tuple(known.revision for known in self.store.good(target, since)) for target in dict.fromkeys(targets)}

    # --- parts --------------------------------------------------------------------------------------------------------------------------

    def _daemon(self) -> DaemonLine:
        facts, outbox, engine = self.facts(), self.store.outbox_state(), self.engine
        return DaemonLine(
            version=facts.version,
            replica=facts.replica,
            started_at=facts.started_at,
            mode_cap=word(engine.settings.mode_cap),
            paused=self.paused(),
            store_fault=engine.trouble.fault,
            slots=engine.slots,
            missed_slots=facts.missed_slots,
            last_slot=engine.last_slot,
            reload=facts.reload,
            outbox_pending=outbox.waiting,
            outbox_oldest=outbox.oldest,
            outbox_dead=outbox.dead,
        )

    def _power(self, view: PolicyView) -> tuple[PowerLine, ...]:
        tracks = view.standing.evaluation.watch.tracks if view.standing is not None else ()
        return self._preview.lines(view.policy, tracks, self.now())

    def _refuse_fleet(self, asked: str) -> None:
        size = self.fleets.size(asked)
        if size is not None:
            raise Denied("invalid", f"{asked} is a fleet of {size:,}", f"name one, {asked}/NAMESPACE/NAME: rollbackd status --coverage lists them")

    def _refuse_faulty(self, asked: str, target: str) -> None:
        """Raises Denied where a policy of this name, or of this target, is in the files, and cannot be loaded."""
        facts = self.facts()
        name = asked if asked in facts.unread else facts.claimed.get(target)
        if name is not None:
            raise Denied("unknown", f"policy {name!r} is not loaded: its file has faults", FAULTY)

    def _views(self) -> dict[str, PolicyView]:
        lines = ((incident.id, claim_line(self.store, incident)) for incident in self.engine.incidents if incident.intent is not None)
        return policy_views(self.engine, self.paused(), {name: line for name, line in lines if line is not None}, self.now())

    def _refuse_unknown(self, target: str) -> None:
        """Raises Denied where no policy has a word of the target either: that nothing is known of a misspelt one must not pass for calm."""
        known = self._watched() | self._depended_on()
        if target not in known:
            raise Denied("unknown", f"nothing is known of {target}, and no policy of this daemon names it", near(target, known))

    def _watched(self) -> set[str]:
        return {key for policy in dict(self.engine.policies).values() for key in policy.targets}

    def _depended_on(self) -> set[str]:
        return {each.on for policy in dict(self.engine.policies).values() for each in policy.depends_on}

    def _watching(self, asked: str, views: Mapping[str, PolicyView]) -> list[PolicyView]:
        try:
            target = parse_target(asked, self._cluster)
        except ValueError:
            self._refuse_faulty(asked, asked)
            raise Denied("unknown", f"{asked!r} is neither a policy nor a target", near(asked, views)) from None
        found = [view for view in views.values() if target in view.policy.targets]
        if not found:
            self._refuse_faulty(asked, target)
            raise Denied("unknown", f"no policy watches {target}", near(target, (view.policy.target for view in views.values())))
        return sorted(found, key=lambda view: view.policy.target != target)
