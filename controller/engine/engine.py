"""The engine thread: one slot after the other, each decided by the pure function and journalled before anything is done about it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from rollbackd.controller.act.actor import Actor
from rollbackd.controller.engine.breaches import Breaches
from rollbackd.controller.engine.fleet import Settings, fleet_at
from rollbackd.controller.engine.journalling import Journalling, Overtaken
from rollbackd.controller.engine.mailbox import Item, Mailbox
from rollbackd.controller.engine.orphans import Orphans, incident_of, is_orphan
from rollbackd.controller.engine.slots import Batch, PolicySet, Standing, judged_alone, openers_first, remembered
from rollbackd.controller.engine.usual import UsualBreaches
from rollbackd.controller.journal.store import Store
from rollbackd.controller.notify.blind import Blindness
from rollbackd.controller.notify.store_trouble import StoreTrouble
from rollbackd.controller.observe.baselines import Baselines, Compared
from rollbackd.controller.observe.changes import ChangeBook
from rollbackd.controller.observe.past import Past
from rollbackd.controller.pause.file import Pause
from rollbackd.policies.decide.decisions import Wait
from rollbackd.policies.decide.evaluate import Evaluation, decide
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.known.watch import Watch, new_watch, take
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Reading
from rollbackd.policies.watching.since import is_due, is_resting, is_watching

log = structlog.get_logger()


class Engine:
    """Owns the watches and the change book; everything reaches it through its queue."""

    def __init__(self, store: Store, actor: Actor, journalling: Journalling, pause: Pause, settings: Settings, trouble: StoreTrouble) -> None:
        self._store = store
        self.trouble = trouble
        self._actor = actor
        self._journalling = journalling
        self._pause = pause
        self._blindness = Blindness(store)
        self.settings = settings
        self.book = ChangeBook(store)
        self.breaches = Breaches()
        self.usual = UsualBreaches(store, settings.shard)
        self._baselines = Baselines()
        self.policies: dict[str, Policy] = {}
        self.standings: dict[str, Standing] = {}
        self.fleet = Fleet()
        self.incidents: tuple[Incident, ...] = ()
        self.spared = 0
        self._set = PolicySet(())
        self._unadopted: PolicySet | None = None
        self._is_behind = self._is_cut_off = False
        self._orphans = Orphans(settings.orphans_after)
        self.last_slot: datetime | None = None
        self.slots = 0
        self.verdicts: Counter[str] = Counter()
        self.mailbox = Mailbox(self._work, trouble.failed)

    # --- what others call -----------------------------------------------------------------------------------------------------------------

    def submit(self, batch: Batch) -> None:
        """The slot will be worked through after those before it, unless a newer one of its grid overtakes it."""
        self.mailbox.put(batch)

    def wake(self, target: str) -> None:
        """The policies of this target will be decided again on the evidence at hand: an outcome has arrived."""
        self.mailbox.put(target)

    def replace(self, policies: Sequence[Policy], unread: frozenset[str] = frozenset()) -> None:
        """These policies hold from the next slot on; a policy whose meaning is unchanged keeps its memory. ``unread``: see PolicySet."""
        self.mailbox.put(PolicySet(tuple(policies), unread))

    def due(self, policies: Iterable[Policy], at: datetime) -> list[Policy]:
        """The policies that are to be looked at in the slot ``at``: all with an open watch or incident, the others once a minute."""
        open_on = {incident.target: incident for incident in self.incidents}
        return [p for p in policies if self._is_due(p, open_on.get(p.target), at)]

    def _is_due(self, policy: Policy, incident: Incident | None, at: datetime) -> bool:
        standing = self.standings.get(policy.name)
        if standing is None or self.breaches.presses(standing.at, self.incidents, at):
            return True
        changes = self.book.of(policy.targets)
        if is_resting(policy, standing.evaluation.watch, incident, changes, self.fleet, at):
            return False
        return is_due(policy, incident, changes, self.fleet, standing.at, at)

    def in_calm(self, policies: Iterable[Policy], at: datetime) -> frozenset[str]:
        """The names of those of which nothing is watched in the slot ``at``."""
        return frozenset(p.name for p in policies if not is_watching(p, self._incident(p), self.book.of(p.targets), self.fleet, at))

    def lacking(self, policies: Iterable[Policy], at: datetime) -> list[Compared]:
        """What has to be read of the time before a change, so that these policies can compare it."""
        found = (self._baselines.lacking(p, self._incident(p), self.book.of(p.targets), self.fleet, at) for p in policies)
        return [one for one in found if one is not None]

    # --- the thread -----------------------------------------------------------------------------------------------------------------------

    def _work(self, item: Item) -> None:
        match item:
            case Batch():
                self.cycle(item)
            case str():
                self.decide_again(item)
            case datetime():
                self.tend(item)
            case _:
                self._unadopted = item
                self._adopt_waiting()

    def _adopt_waiting(self) -> None:
        """What the store kept from being adopted is adopted; later, if it still does. Raises StoreError."""
        if (waiting := self._unadopted) is not None:
            self.adopt(waiting.policies, waiting.unread)
            self._unadopted = None

    def adopt(self, policies: Sequence[Policy], unread: frozenset[str] = frozenset()) -> None:
        """The set of policies is this one; memory of unchanged policies is kept, that of others begins anew. ``unread``: see PolicySet.

        Policies of other daemons' targets are left to them.
        """
        self._set = PolicySet(tuple(policies), unread)
        policies = [policy for policy in policies if self.settings.shard.has(policy.target)]
        self.spared = len(self._set.policies) - len(policies)
        known = {name: policy.digest for name, policy in self.policies.items()}
        self.policies = {policy.name: policy for policy in policies}
        kept = [p.name for p in policies if known.get(p.name) == p.digest]
        self.standings = {name: self.standings[name] for name in kept if name in self.standings}
        named = (key for policy in policies for key in (*policy.targets, *(each.on for each in policy.depends_on)))
        targets = list(dict.fromkeys(named))
        self.book.load(targets, self._store.now())
        self.breaches.keep(policies)
        self.incidents = self._store.open_incidents()

    def cycle(self, batch: Batch) -> None:
        """One slot: the survey is taken in, every observed policy is decided, decisions are durable, and then acted on."""
        self._is_cut_off = not self.trouble.kept(self._catch_up)
        self._is_behind = self._is_cut_off or not self.trouble.kept(lambda: self._take_in(batch))
        self._count(batch.at)
        self._baselines.take(batch.compared, batch.before)
        due = batch.meant(self.policies)
        for policy in due:
            self._remember(policy, batch.past, batch.at)
        # Everybody is judged before anything is decided: a common cause shows in the others.
        judged = {policy.name: self._judged(policy, batch.at, batch.readings[policy.name]) for policy in due}
        self._count(batch.at)
        sound = [self._settled(policy, judged[policy.name]) for policy in openers_first(due, self.incidents)]
        if not self._is_cut_off:  # else every question would wait for its time-out
            self._resume_open(batch.at)
            if not self._is_behind:
                self._is_behind = not self.trouble.kept(lambda: self.usual.take(self.fleet, batch.at))
            is_told = self.trouble.kept(lambda: self._blindness.check_sources(batch.health, tuple(self.policies.values()), batch.at))
            if is_told and all(sound) and not self._is_behind and self.trouble.fault is not None:
                self.trouble.kept(lambda: self.trouble.prove_over(batch.at))
        self.trouble.check(batch.at)
        self._finish(batch.at, due)

    def _catch_up(self) -> None:
        """What others wrote since the last slot is known. Raises StoreError: then this slot is judged with what was known before, and ends there."""
        self._adopt_waiting()
        self.incidents = self._store.open_incidents()
        self.book.refresh()

    def _count(self, at: datetime) -> None:
        """The guards are counted anew; where the store does not answer they stay as they were, and nothing is decided on them."""

        def count() -> None:
            self.fleet = self._fleet(at)
            # In this order: what the guards count is never newer than what is known of the incidents.
            self.incidents = self._store.open_incidents()

        if not self._is_cut_off and not self.trouble.kept(count):
            self._is_behind = True

    def _take_in(self, batch: Batch) -> None:
        fresh = self.book.take(batch.survey, self.incidents)
        self._journalling.changes_seen(fresh)
        self._journalling.quarantined_again(self.book, self.policies.values(), batch.at)

    def _finish(self, at: datetime, due: Sequence[Policy]) -> None:
        self.last_slot = at
        self.slots += 1
        looked = [self.standings[policy.name].evaluation for policy in due if policy.name in self.standings]
        if looked:
            verdicts = Counter(verdict.state.value for evaluation in looked for verdict in evaluation.verdicts)
            self.verdicts.update(verdicts)
            log.info("slot.finished", at=at.isoformat(), policies=len(looked), verdicts=dict(verdicts), incidents=len(self.incidents))

    def decide_again(self, target: str) -> None:
        """The newest slot of the target's policies once more, with the incident as it stands now.

        An intent that is still open is not resumed here but at the next slot: what has no outcome yet would be asked for in a busy loop.
        """
        self.incidents = self._store.open_incidents()
        self.book.note_settled(self.incidents)
        for policy in openers_first([p for p in self.policies.values() if p.target == target], self.incidents):
            standing = self.standings.get(policy.name)
            if standing is not None:
                self.fleet = self._fleet(standing.at)
                if (decided := self._decided(policy, standing)) is not None:
                    self._carry_out(policy, decided)

    def tend(self, at: datetime) -> None:
        """Incidents whose policies are gone are looked after where nothing is watched any more: no slot comes there. Raises StoreError."""
        if not self.policies:
            self._catch_up()
            self._resume_open(at)

    def _remember(self, policy: Policy, past: Past, at: datetime) -> None:
        if policy.name in self.standings:
            return
        known = self._incident(policy), self.book.of(policy.targets), self.fleet, at
        compared = self._baselines.of(policy, *known)
        found = remembered(policy, past.take_out(policy.name), known[1], self.fleet, compared)
        if found is not None:
            self.standings[policy.name] = found

    def _judged(self, policy: Policy, at: datetime, readings: Sequence[Reading]) -> Standing | None:
        """The policy's slot as it is decided before the others' breaches are known; None where its judging failed: that leaves the others alone."""
        standing = self.standings.get(policy.name)
        watch = standing.evaluation.watch if standing is not None else new_watch(policy)
        with judged_alone(policy, at):
            before = take(policy, watch, readings)
            evaluation = self._decide(policy, before, at)
            self.breaches.note(evaluation)
            self.standings[policy.name] = Standing(before, evaluation, at)
            return self.standings[policy.name]
        return None

    def _settled(self, policy: Policy, judged: Standing | None) -> bool:
        """What was decided is durable and under way; False where the store refused, and then nobody else waits for it in this slot."""
        if judged is None:
            return True
        decided = self._decided(policy, judged) if judged.evaluation.decisions else None
        if decided is not None:
            judged = decided
            if not self.trouble.kept(lambda: self._carry_out(policy, decided)):
                self._is_behind = True
                return False
        return not self._is_cut_off and self.trouble.kept(lambda: self._blindness.check_signals(policy, judged.evaluation.watch, judged.at))

    def _decided(self, policy: Policy, standing: Standing) -> Standing | None:
        """The slot once more, with what is known by now of the fleet and of the incident; None where that failed."""
        with judged_alone(policy, standing.at):
            return Standing(standing.before, self._decide(policy, standing.before, standing.at), standing.at)
        return None

    def _decide(self, policy: Policy, watch: Watch, at: datetime) -> Evaluation:
        known = self._incident(policy), self.book.of(policy.targets), self.fleet, at
        return decide(policy, watch, *known, self._baselines.of(policy, *known))

    def _carry_out(self, policy: Policy, standing: Standing) -> None:
        decisions = [decision for decision in standing.evaluation.decisions if not isinstance(decision, Wait)]
        self.standings[policy.name] = standing.unwritten() if decisions else standing
        if not decisions or self._is_behind:  # behind: a change that is not on record yet may explain what was judged
            return
        decided_on = next((incident for incident in self.incidents if incident.target == policy.target), None)
        try:
            orders = self._journalling.journal(policy, decisions, self.fleet, self.book, self.policies, decided_on)
        except Overtaken:
            return  # decided again at the next slot, on what is true by then
        self.standings[policy.name] = standing
        if orders is None:
            return
        self.incidents = self._store.open_incidents()
        for order in orders:
            self._actor.begin(order)

    def _resume_open(self, at: datetime) -> None:
        for incident in self.incidents:
            if not self.settings.shard.has(incident.target):
                continue  # another daemon's
            if self._set.awaits(incident):
                continue  # a roster is on its way; until then nothing is known of its policy, and nothing is done
            if is_orphan(incident, self.policies):
                if self._orphans.is_due(incident, at):
                    self._journalling.orphaned(incident, self.policies, at)
                continue
            self._orphans.is_found(incident)
            if not self._actor.is_busy(incident.id):
                self._actor.resume(incident, self.policies[incident.policy])

    def _incident(self, policy: Policy) -> Incident | None:
        return incident_of(policy, self.incidents, self.policies)

    def _fleet(self, at: datetime) -> Fleet:
        watches = {name: standing.evaluation.watch for name, standing in self.standings.items()} if self.incidents else {}
        oldest = min((standing.at for standing in self.standings.values()), default=None)
        known = at, self.policies, self._store, self.book, self.breaches, self._pause, self.settings, self.incidents, watches, self.usual.known
        return replace(fleet_at(*known), oldest_look=oldest)
