"""What a transaction is begun for: each kind of database has its own words for it."""

from enum import Enum


class Begin(Enum):
    """``READ``: one consistent state; ``WRITE``: the only writer; ``MIGRATE``: the only one who changes the schema; ``NOTHING``: none at all."""

    READ = "read"
    WRITE = "write"
    MIGRATE = "migrate"
    NOTHING = "nothing"
