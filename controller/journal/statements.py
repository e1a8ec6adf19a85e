"""What nearly every slot asks or writes: building such a statement takes longer than the database takes for it, so each is built once."""

from sqlalchemy import String, and_, bindparam, cast, func, insert, literal, select, union_all, update

from rollbackd.controller.journal.codec import KINDS
from rollbackd.controller.journal.schema import changes, claims, exported, incidents, journal, ledger, outbox, spent
from rollbackd.controller.journal.values import Standing
from rollbackd.policies.known.incident import Phase

FOLDED = (
    select(journal.c.seq, journal.c.incident, journal.c.kind, journal.c.body)
    .join(incidents, incidents.c.id == journal.c.incident)
    .where(journal.c.kind.in_(KINDS))
    .order_by(incidents.c.opened_at, journal.c.incident, journal.c.seq)
)
OPEN = FOLDED.where(incidents.c.closed_at.is_(None))
ONE = FOLDED.where(incidents.c.id == bindparam("incident"))
INTENT = claims.c.incident + "/rung.intended/" + cast(claims.c.rung, String) + "/" + claims.c.target
CLAIMS = select(claims, journal.c.seq, journal.c.kind, journal.c.body).join(journal, journal.c.key == INTENT)
CLAIM_ON = CLAIMS.where(*(claims.c[name] == bindparam(name) for name in ("incident", "rung", "target")))
ACTED = incidents.c.acted_at.is_not(None)
SUSPECTS = select(incidents.c.target, incidents.c.suspects).where(ACTED)
ALOFT = select(incidents).where(ACTED, incidents.c.closed_at.is_(None), incidents.c.phase != Phase.HELD.value)
SINCE = incidents.c.acted_at > bindparam("since")
ENDED = select(incidents.c.id).where(SINCE, incidents.c.closed_at.is_not(None))
CLOSED_SINCE = select(incidents.c.id).where(incidents.c.closed_at > bindparam("since")).order_by(incidents.c.closed_at.desc(), incidents.c.id)
IN_HOUR = select(func.count()).select_from(incidents).where(SINCE)
IN_DAY = select(incidents.c.target, func.count().label("acted")).where(SINCE).group_by(incidents.c.target)
LAST_CLOSED = select(incidents.c.target, func.max(incidents.c.closed_at).label("last")).group_by(incidents.c.target)
CLOSED = LAST_CLOSED.where(ACTED, incidents.c.closed_at.is_not(None))
CHANGES_AFTER = select(changes).where(changes.c.seq > bindparam("seq")).order_by(changes.c.seq)
CHANGE = select(changes).where(changes.c.target == bindparam("target"), changes.c.change_id == bindparam("change"))
LAST_SEEN = select(func.max(changes.c.first_seen)).where(changes.c.target == bindparam("target"), changes.c.posted.is_(False))
LEDGER = select(ledger).where(ledger.c.target == bindparam("target")).order_by(ledger.c.last_at.desc(), ledger.c.revision)
REVISIONS = select(ledger.c.target, ledger.c.revision).order_by(ledger.c.last_at.desc(), ledger.c.revision)
IS_GOOD = and_(ledger.c.standing == Standing.GOOD.value, ledger.c.last_at >= bindparam("since"))
GOOD = REVISIONS.where(IS_GOOD, ledger.c.target.in_(bindparam("targets", expanding=True)))
QUARANTINED = select(ledger.c.target, ledger.c.revision).where(ledger.c.standing == Standing.QUARANTINED.value)
LAST = select(func.coalesce(func.max(journal.c.seq), 0))
LAST_ROW = select(journal.c.seq, journal.c.hash).order_by(journal.c.seq.desc()).limit(1)
IS_THERE = select(literal(1)).where(journal.c.seq == bindparam("seq"), journal.c.hash == bindparam("hash"))
OF_KINDS = select(journal).where(journal.c.seq > bindparam("seq"), journal.c.kind.in_(bindparam("kinds", expanding=True)))
NEWEST_OF = OF_KINDS.order_by(journal.c.seq.desc()).limit(1)
HAS_ENTRY = select(literal(1)).where(journal.c.key == bindparam("key")).union_all(select(literal(1)).where(spent.c.key == bindparam("key")))
KEYS = union_all(*(select(key).where(key >= bindparam("word"), key < bindparam("after")) for key in (journal.c.key, spent.c.key)))
WAITING = and_(outbox.c.sent_at.is_(None), outbox.c.dead_at.is_(None))
DUE = select(literal(1)).where(WAITING, outbox.c.next_at <= bindparam("at")).limit(1)

NEXT = select(func.coalesce(func.max(journal.c.seq), 0) + 1)
NEWEST_HASH = select(journal.c.hash).where(journal.c.writer == bindparam("writer")).order_by(journal.c.seq.desc()).limit(1)
EXPORTED_HASH = select(exported.c.hash).where(exported.c.writer == bindparam("writer"))
TURN = select(func.coalesce(func.max(outbox.c.turn), 0) + 1)
APPEND = insert(journal)
SERVED = (
    update(ledger)
    .where(ledger.c.target == bindparam("of"), ledger.c.revision == bindparam("which"), ledger.c.last_at < bindparam("until"))
    .values(last_at=bindparam("until"))
)
