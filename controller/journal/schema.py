"""The tables, in types that SQLite and PostgreSQL share. A new journal begins with them, an older one is migrated to them."""

from datetime import datetime

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
    text,
)

from rollbackd.controller.journal import codec

LINEAGE = ("v0001", "v0002")
"""Every schema version there ever was, oldest first; the last one is what this code works with."""


class Moment(TypeDecorator[datetime]):
    """An aware UTC time as fixed-width ISO text: people read it in the file, SQL compares it."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Text for the database."""
        return None if value is None else codec.moment_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Time for us."""
        return None if value is None else codec.moment(value)


NUMBER = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

journal = Table(
    "journal",
    metadata,
    Column("seq", NUMBER, primary_key=True, autoincrement=False),
    Column("writer", String, nullable=False),
    Column("at", Moment, nullable=False),
    Column("kind", String, nullable=False),
    Column("target", String),
    Column("incident", String),
    Column("key", String, unique=True),
    Column("body", Text, nullable=False),
    Column("prev", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_journal_writer_seq", "writer", "seq"),
    Index("ix_journal_incident_seq", "incident", "seq"),
    Index("ix_journal_target_seq", "target", "seq"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String, primary_key=True),
    Column("target", String, nullable=False),
    Column("change_id", String, nullable=False),
    Column("suspects", Text, nullable=False),
    Column("namespace", String, nullable=False),
    Column("policy", String, nullable=False),
    Column("phase", String, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("acted_at", Moment),
    Column("closed_at", Moment),
    UniqueConstraint("target", "change_id"),
    Index("uq_incidents_open_target", "target", unique=True, sqlite_where=text("closed_at IS NULL"), postgresql_where=text("closed_at IS NULL")),
    Index("ix_incidents_acted_at", "acted_at"),
)

claims = Table(
    "claims",
    metadata,
    Column("incident", String, ForeignKey("incidents.id"), primary_key=True),
    Column("rung", Integer, primary_key=True, autoincrement=False),
    Column("target", String, primary_key=True),
    Column("claimant", String, nullable=False),
    Column("claimed_at", Moment, nullable=False),
    Column("deadline", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("ended_at", Moment),
)

changes = Table(
    "changes",
    metadata,
    Column("seq", NUMBER, primary_key=True, autoincrement=True),
    Column("target", String, nullable=False),
    Column("change_id", String, nullable=False),
    Column("revision", String, nullable=False),
    Column("predecessor", String, nullable=False),
    Column("started_early", Moment, nullable=False),
    Column("started_late", Moment, nullable=False),
    Column("first_seen", Moment, nullable=False),
    Column("ready", Moment),
    Column("ours", Boolean, nullable=False),
    Column("posted", Boolean, nullable=False),
    Column("irreversible", Text),
    Column("touched", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("parts", Text, nullable=False),
    Column("writer", String),
    Column("dated", Boolean, nullable=False),
    UniqueConstraint("target", "change_id"),
    # The id of a target without a history holds the moment of first sight: replicas would each make their own, so the first row wins.
    Index(
        "uq_changes_dated",
        "target",
        "revision",
        "predecessor",
        unique=True,
        sqlite_where=text("dated"),
        postgresql_where=text("dated"),
    ),
    Index("ix_changes_first_seen", "first_seen"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("target", String, primary_key=True),
    Column("revision", String, primary_key=True),
    Column("standing", String, nullable=False),
    Column("how", String, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("note", Text, nullable=False),
    Index("ix_ledger_standing", "standing"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", String, primary_key=True),
    # The order in which notices were queued; what a notice is split into for its channels keeps its turn.
    Column("turn", NUMBER, nullable=False),
    Column("key", String, nullable=False),
    Column("contact", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("notice", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("sent_at", Moment),
    Column("dead_at", Moment),
    Column("last_error", Text),
    Column("claimed_by", String),
    Column("claimed_until", Moment),
    Index(
        "ix_outbox_waiting",
        "turn",
        sqlite_where=text("sent_at IS NULL AND dead_at IS NULL"),
        postgresql_where=text("sent_at IS NULL AND dead_at IS NULL"),
    ),
)

# Of each writer, what was exported and removed from the journal: its rows up to `seq`, whose newest had this hash.
exported = Table(
    "exported",
    metadata,
    Column("writer", String, primary_key=True),
    Column("seq", NUMBER, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("rows", NUMBER, nullable=False),
    Column("began", Moment, nullable=False),
)

# Keys of rows that were removed: what was said once is not said again.
spent = Table("spent", metadata, Column("key", String, primary_key=True))

# What is written stays as it is, and only what was exported may go: the database itself refuses anything else.
_REFUSED = "the journal is append-only"
_THROUGH = "(SELECT coalesce(max(seq), 0) FROM exported)"
_GUARDS = {
    "sqlite": (
        f"CREATE TRIGGER journal_refuses_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
        f"CREATE TRIGGER journal_refuses_delete BEFORE DELETE ON journal WHEN OLD.seq > {_THROUGH} BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION journal_refuses() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
        "CREATE TRIGGER journal_refuses_change BEFORE UPDATE OR TRUNCATE ON journal FOR EACH STATEMENT EXECUTE FUNCTION journal_refuses()",
        "CREATE FUNCTION journal_keeps() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN IF OLD.seq > {_THROUGH} THEN RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = 'integrity_constraint_violation'; END IF;"
        " RETURN OLD; END $$",
        "CREATE TRIGGER journal_refuses_delete BEFORE DELETE ON journal FOR EACH ROW EXECUTE FUNCTION journal_keeps()",
    ),
}
for _dialect, _statements in _GUARDS.items():
    for _statement in _statements:
        event.listen(metadata, "after_create", DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]  # SQLAlchemy has no types there
