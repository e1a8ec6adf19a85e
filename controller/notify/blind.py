"""What cannot be seen: a source that does not answer, a signal that never had data. One page each, and none acts."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from shlex import quote

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.messages import plain_notice
from rollbackd.controller.notify.open_pages import OpenPages, watched_no_more
from rollbackd.controller.observe.readings import SourceHealth
from rollbackd.policies.known.watch import Watch
from rollbackd.policies.model.policy import Policy

PATIENCE = timedelta(minutes=5)
"""How long a source may be silent, and a hand-written signal without any data, before people are told."""


class Blindness:
    """Tells people once per source, and once more when it is over. Used by the engine thread only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._silent_since: dict[str, datetime] = {}
        self._pages = OpenPages(store, "blind")
        self._absent_told: set[str] = set()
        self._first_look: dict[tuple[str, str], datetime] = {}

    def check_sources(self, health: Mapping[str, SourceHealth], policies: Iterable[Policy], at: datetime) -> None:
        """A source that has not answered for five minutes is on the pager; one that answers again is off it, also one that is none any more.

        ``health``: of every source of the config.
        """
        for name, state in tuple(health.items()):
            if state.fault is None:
                self._silent_since.pop(name, None)
                if state.seen is not None:  # else it was not asked yet
                    self._sighted(name, policies, at)
                continue
            since = self._silent_since.setdefault(name, state.seen or at)
            if at - since >= PATIENCE and not self._pages.is_told(name):
                self._blinded(name, state.fault, since, policies, at)
        for name in self._pages.dropped(health, at):
            self._pages.end(name, Note("source.dropped", at, {"source": name}), watched_no_more(f"source {name}", at), ())

    def check_signals(self, policy: Policy, watch: Watch, at: datetime) -> None:
        """A hand-written signal that never had data is a finding: most likely it is misspelt."""
        for condition, track in zip(policy.conditions, watch.tracks, strict=True):
            if track.had_data or condition.from_library:
                continue
            look = policy.digest, condition.name
            if policy.source in self._silent_since:  # a source that does not answer says nothing of what it has
                self._first_look.pop(look, None)
                continue
            since = self._first_look.setdefault(look, at)
            if at - since >= PATIENCE:
                self._absent(policy, condition.name, at)

    def _blinded(self, name: str, fault: str, since: datetime, policies: Iterable[Policy], at: datetime) -> None:
        key = f"blind:{name}:{since:%Y%m%dT%H%M%S}"
        title = f"NO ACTION TAKEN: source {name} has not answered since {since:%H:%M:%S} UTC; nothing is judged"
        lines = (f"why: {fault}", "policies that read it can neither act nor recover until it answers", "check the source and the network to it")
        note = Note("source.blind", at, {"source": name, "why": fault})
        self._pages.open(name, note, plain_notice("blind", key, title, lines, at), readers(policies, name))

    def _sighted(self, name: str, policies: Iterable[Policy], at: datetime) -> None:
        if not self._pages.about(name):
            return

        def notice(key: str) -> Notice:
            return plain_notice("sighted", key, f"source {name} answers again", ("policies are judged again",), at, resolved=True)

        self._pages.end(name, Note("source.sighted", at, {"source": name}), notice, readers(policies, name))

    def _absent(self, policy: Policy, condition: str, at: datetime) -> None:
        """One page for a policy, and one for a whole fleet: a signal that is misspelt for all its members is one mistake."""
        fleet = policy.fleet
        key = f"absent:{policy.digest if fleet is None else fleet.digest}:{condition}"
        if key in self._absent_told:
            return
        whose = f"policy {policy.name}" if fleet is None else f"fleet {fleet.name}"
        first = "" if fleet is None else f"; first seen at {policy.target}"
        title = f"{whose}: condition {condition} never had any data{first}"
        join = "match" if fleet is None else "join"
        lines = (
            f"it cannot fire: the metric or a label is most likely misspelt, or `{join}` fits no series",
            f"see: rollbackd explain {quote(policy.name)}",
        )
        with self._store.transaction() as tx:
            if tx.note(Note("signal.absent", at, {"policy": policy.name, "condition": condition}, policy.target), key):
                tx.queue(plain_notice("absent", key, title, lines, at), policy.notify_of_all)
        self._absent_told.add(key)


def readers(policies: Iterable[Policy], source: str) -> list[str]:
    """Who is told of a source: the contacts of all policies that read it."""
    return sorted({contact for policy in policies if policy.source == source for contact in policy.notify_of_all})
