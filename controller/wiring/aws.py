"""From the accounts of the config to what is reached through them."""

from collections.abc import Mapping
from datetime import timedelta

from rollbackd.adapters.aws import Account, Aws
from rollbackd.adapters.base.source import Source
from rollbackd.adapters.base.target import Target
from rollbackd.controller.clock import now
from rollbackd.controller.config.accounts import AccountConfig
from rollbackd.controller.config.values import CloudWatchSource

_SLOT = timedelta(seconds=5)
"""So long a question for metrics is asked again: the next slot asks anyway."""


def aws(accounts: Mapping[str, AccountConfig]) -> Aws:
    """All accounts, none of them entered yet."""
    return Aws({name: _account(name, each) for name, each in accounts.items()}, now=now)


def cloudwatch(name: str, config: CloudWatchSource, every: Aws) -> Source:
    """The source; nothing is asked yet. Raises Permanent for an account or region that is none of the config's."""
    from rollbackd.adapters.aws.cloudwatch import CloudWatch, Services
    from rollbackd.adapters.aws.cloudwatch.calls import CLOUDWATCH
    from rollbackd.adapters.aws.cloudwatch.source import DELAY

    caller = every.caller(config.account, config.region, CLOUDWATCH, asker=f"source {name}", patience=_SLOT)
    places = Services(every, config.account, config.region).places
    return CloudWatch(name, caller, places, delay=DELAY if config.delay is None else config.delay)


def aws_targets(every: Aws) -> dict[str, Target]:
    """The kinds of targets that are reached through accounts; none without an account."""
    if not every.accounts:
        return {}
    from rollbackd.adapters.aws.alb import Alb
    from rollbackd.adapters.aws.ecs import Ecs
    from rollbackd.adapters.aws.rds import Rds
    from rollbackd.adapters.aws.route53 import Route53

    return {"alb": Alb(every, now=now), "ecs": Ecs(every), "rds": Rds(every, now=now), "route53": Route53(every)}


def _account(name: str, each: AccountConfig) -> Account:
    return Account(name, each.id, each.regions, each.role, each.external_id, each.endpoint, each.reregister)
