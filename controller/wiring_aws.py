"""From the accounts of the config to what is reached through them."""

from collections.abc import Mapping

from rollbackd.adapters.aws import Account, Aws
from rollbackd.adapters.base.target import Target
from rollbackd.controller.clock import now
from rollbackd.controller.config_accounts import AccountConfig


def aws(accounts: Mapping[str, AccountConfig]) -> Aws:
    """All accounts, none of them entered yet."""
    return Aws({name: _account(name, each) for name, each in accounts.items()}, now=now)


def aws_targets(accounts: Mapping[str, AccountConfig]) -> dict[str, Target]:
    """The kinds of targets that are reached through accounts; none without an account."""
    if not accounts:
        return {}
    from rollbackd.adapters.aws.ecs import Ecs

    every = aws(accounts)
    return {"ecs": Ecs(every)}


def _account(name: str, each: AccountConfig) -> Account:
    return Account(name, each.id, each.regions, each.role, each.external_id, each.endpoint, each.reregister)
