"""Databases in RDS: a side instance is prepared; nothing that serves is ever touched."""

from rollbackd.adapters.aws.rds.calls import RDS
from rollbackd.adapters.aws.rds.target import Rds

__all__ = ["RDS", "Rds"]
