"""Compaction: rows that were exported may be removed, and no others."""

import sqlalchemy as sa
from alembic import op

revision = "v0002"
down_revision: str | None = "v0001"
branch_labels: str | None = None
depends_on: str | None = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_REFUSED = "the journal is append-only"
_THROUGH = "(SELECT coalesce(max(seq), 0) FROM exported)"
_ONLY_EXPORTED = {
    "sqlite": [
        "DROP TRIGGER journal_refuses_delete",
        f"CREATE TRIGGER journal_refuses_delete BEFORE DELETE ON journal WHEN OLD.seq > {_THROUGH} BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    ],
    "postgresql": [
        "DROP TRIGGER journal_refuses_change ON journal",
        "CREATE TRIGGER journal_refuses_change BEFORE UPDATE OR TRUNCATE ON journal FOR EACH STATEMENT EXECUTE FUNCTION journal_refuses()",
        "CREATE FUNCTION journal_keeps() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN IF OLD.seq > {_THROUGH} THEN RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = 'integrity_constraint_violation'; END IF;"
        " RETURN OLD; END $$",
        "CREATE TRIGGER journal_refuses_delete BEFORE DELETE ON journal FOR EACH ROW EXECUTE FUNCTION journal_keeps()",
    ],
}


def upgrade() -> None:
    """Makes the tables that say what was removed; a row that they do not cover is refused its removal as before."""
    op.create_table(
        "exported",
        sa.Column("writer", sa.String(), nullable=False),
        sa.Column("seq", NUMBER, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("rows", NUMBER, nullable=False),
        sa.Column("began", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("writer", name="pk_exported"),
    )
    op.create_table("spent", sa.Column("key", sa.String(), nullable=False), sa.PrimaryKeyConstraint("key", name="pk_spent"))
    for statement in _ONLY_EXPORTED[op.get_bind().dialect.name]:
        op.execute(statement)
