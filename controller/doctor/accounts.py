"""Checks of accounts: each can be entered in each of its regions, and is the one that the config says."""

from collections.abc import Iterator

from rollbackd.adapters.base.errors import AdapterError, Refused, Transient
from rollbackd.controller.doctor.findings import Finding, Grade
from rollbackd.controller.doctor.surroundings import Surroundings


def accounts(around: Surroundings) -> Iterator[Finding]:
    """Whom we are in each account and region."""
    for name, account in around.config.accounts.items():
        for region in account.regions:
            yield _account(name, region, around)


def _account(name: str, region: str, around: Surroundings) -> Finding:
    subject = f"{name}/{region}"
    try:
        arn = around.enter(name, region)
    except AdapterError as fault:
        advice = fault.advice if isinstance(fault, Refused) else ""
        return Finding("accounts", subject, Grade.FAIL, str(fault), advice, reached=not isinstance(fault, Transient))
    return Finding("accounts", subject, Grade.PASS, f"entered as {arn}", reached=True)
