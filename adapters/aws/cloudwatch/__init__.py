"""The metric source ``cloudwatch``: one account's metrics in one region, asked in batches, once a period, and counted, because they cost money."""

from rollbackd.adapters.aws.cloudwatch.service import Services
from rollbackd.adapters.aws.cloudwatch.source import CloudWatch

__all__ = ["CloudWatch", "Services"]
