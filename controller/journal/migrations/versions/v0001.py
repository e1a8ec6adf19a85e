"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "v0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.String(27)
OPEN = sa.text("closed_at IS NULL")
DATED = sa.text("dated")
WAITING = sa.text("sent_at IS NULL AND dead_at IS NULL")
_APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER journal_refuses_{verb.lower()} BEFORE {verb} ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE FUNCTION journal_refuses() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$",
        "CREATE TRIGGER journal_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON journal FOR EACH STATEMENT EXECUTE FUNCTION journal_refuses()",
    ],
}


def upgrade() -> None:
    """Creates every table."""
    _journal()
    _incidents()
    _claims()
    _changes()
    _ledger()
    _outbox()


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("seq", NUMBER, autoincrement=False, nullable=False),
        sa.Column("writer", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("target", sa.String()),
        sa.Column("incident", sa.String()),
        sa.Column("key", sa.String()),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("prev", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_journal"),
        sa.UniqueConstraint("key", name="uq_journal_key"),
    )
    op.create_index("ix_journal_writer_seq", "journal", ["writer", "seq"])
    op.create_index("ix_journal_incident_seq", "journal", ["incident", "seq"])
    op.create_index("ix_journal_target_seq", "journal", ["target", "seq"])
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def _incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("change_id", sa.String(), nullable=False),
        sa.Column("suspects", sa.Text(), nullable=False),
        sa.Column("namespace", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("acted_at", MOMENT),
        sa.Column("closed_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
        sa.UniqueConstraint("target", "change_id", name="uq_incidents_target_change_id"),
    )
    op.create_index("uq_incidents_open_target", "incidents", ["target"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index("ix_incidents_acted_at", "incidents", ["acted_at"])


def _claims() -> None:
    op.create_table(
        "claims",
        sa.Column("incident", sa.String(), nullable=False),
        sa.Column("rung", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("claimant", sa.String(), nullable=False),
        sa.Column("claimed_at", MOMENT, nullable=False),
        sa.Column("deadline", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.PrimaryKeyConstraint("incident", "rung", "target", name="pk_claims"),
        sa.ForeignKeyConstraint(["incident"], ["incidents.id"], name="fk_claims_incident"),
    )


def _changes() -> None:
    op.create_table(
        "changes",
        sa.Column("seq", NUMBER, autoincrement=True, nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("change_id", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("predecessor", sa.String(), nullable=False),
        sa.Column("started_early", MOMENT, nullable=False),
        sa.Column("started_late", MOMENT, nullable=False),
        sa.Column("first_seen", MOMENT, nullable=False),
        sa.Column("ready", MOMENT),
        sa.Column("ours", sa.Boolean(), nullable=False),
        sa.Column("posted", sa.Boolean(), nullable=False),
        sa.Column("irreversible", sa.Text()),
        sa.Column("touched", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("writer", sa.String()),
        sa.Column("dated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_changes"),
        sa.UniqueConstraint("target", "change_id", name="uq_changes_target_change_id"),
    )
    op.create_index("uq_changes_dated", "changes", ["target", "revision", "predecessor"], unique=True, sqlite_where=DATED, postgresql_where=DATED)
    op.create_index("ix_changes_first_seen", "changes", ["first_seen"])


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("first_at", MOMENT, nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("target", "revision", name="pk_ledger"),
    )
    op.create_index("ix_ledger_standing", "ledger", ["standing"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("turn", NUMBER, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("notice", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("next_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", MOMENT),
        sa.Column("dead_at", MOMENT),
        sa.Column("last_error", sa.Text()),
        sa.Column("claimed_by", sa.String()),
        sa.Column("claimed_until", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_waiting", "outbox", ["turn"], sqlite_where=WAITING, postgresql_where=WAITING)
