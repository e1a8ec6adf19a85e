"""Amazon's accounts: entered by role, called within declared limits, one request at a time."""

from rollbackd.adapters.aws.access import Aws, Caller
from rollbackd.adapters.aws.account import Account

__all__ = ["Account", "Aws", "Caller"]
