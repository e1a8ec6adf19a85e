"""From the config to what the doctor looks at: the same parts as the daemon's, each by itself, so that one that cannot be made hides no other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.source import Source
from rollbackd.adapters.base.target import Target
from rollbackd.controller.clock import now
from rollbackd.controller.config import values
from rollbackd.controller.doctor.surroundings import Surroundings
from rollbackd.controller.logs import Secrets
from rollbackd.controller.wiring.aws import aws
from rollbackd.controller.wiring.channels import notifiers
from rollbackd.controller.wiring.outside import source_of, targets_of
from rollbackd.policies.load import Loaded

T = TypeVar("T")


def surroundings(file: str, config: values.Config, loaded: Loaded, secrets: Secrets) -> Surroundings:
    """What a daemon of this config would work with, to be looked at: nothing runs, and no file is made."""
    return Surroundings(
        file=file,
        config=config,
        sources={name: _or_fault(partial(_source, name, source, config)) for name, source in config.sources.items()},
        targets=_or_fault(partial(_targets, config)),
        contacts={name: _or_fault(partial(notifiers, name, channels, secrets)) for name, channels in config.contacts.items()},
        loaded=loaded,
        now=now,
        enter=lambda account, region: aws(config.accounts).identify(account, region),
    )


def prometheus_at(
    url: str, like: values.PrometheusSource | None, *, token_file: Path | None, ca_file: Path | None, scrape_interval: timedelta | None
) -> Source:
    """The Prometheus at ``url``, in all that is None as the config has it. Raises AdapterError where the address is none."""
    base = like or values.PrometheusSource(url)
    asked = replace(
        base,
        url=url,
        token_file=token_file or base.token_file,
        ca_file=ca_file or base.ca_file,
        scrape_interval=scrape_interval or base.scrape_interval,
    )
    return source_of("prometheus", asked, aws({}))


def _source(name: str, source: values.Source, config: values.Config) -> Source:
    return source_of(name, source, aws(config.accounts))


def _targets(config: values.Config) -> dict[str, Target]:
    return targets_of(config, aws(config.accounts))


def _or_fault(make: Callable[[], T]) -> T | AdapterError:
    try:
        return make()
    except AdapterError as fault:
        return fault
