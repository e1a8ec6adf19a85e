"""`rollbackd check --prometheus`: what the policies would find in a server, as findings in their files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rollbackd.controller.cli.show import say

if TYPE_CHECKING:
    from rollbackd.adapters.base.source import Source
    from rollbackd.controller.cli.policies import Checked
    from rollbackd.controller.config.values import PrometheusSource
    from rollbackd.policies.model.policy import Policy
    from rollbackd.policies.text.faults import Fault


@dataclass(frozen=True, slots=True)
class Server:
    """The Prometheus of the command line; what is None is as the config has it."""

    url: str
    token_file: Path | None
    ca_file: Path | None
    scrape_interval: timedelta | None

    def source(self, like: "PrometheusSource | None") -> "Source":
        """As the daemon would ask it. Raises AdapterError where the address is none."""
        from rollbackd.controller.wiring.doctor import prometheus_at

        return prometheus_at(self.url, like, token_file=self.token_file, ca_file=self.ca_file, scrape_interval=self.scrape_interval)


def with_evidence(checked: "Checked", server: Server) -> "tuple[Checked, str | None]":
    """The check with what ``server`` tells of the sound policies, or why it told nothing. What was not asked is said."""
    from rollbackd.adapters.base.errors import AdapterError

    for fleet in checked.loaded.fleets:
        say(f"{fleet.name}: not looked up: its cluster knows who its members are; `rollbackd doctor` asks for them")
    groups: dict[PrometheusSource | None, list[Policy]] = {}
    for like, policy in _asked(checked):
        groups.setdefault(like, []).append(policy)
    found: list[Fault] = []
    try:
        for like, policies in groups.items():
            found += _found(checked, policies, server.source(like))
    except AdapterError as fault:
        return checked, str(fault)
    faults = tuple(fault for fault in found if fault.severity == "error")
    warnings = tuple(fault for fault in found if fault.severity == "warning")
    spoilt = len({(fault.file, fault.trail.partition(" › ")[0]) for fault in faults})
    told = replace(checked, faults=(*checked.faults, *faults), warnings=(*checked.warnings, *warnings), policies=checked.policies - spoilt)
    return told, None


def _asked(checked: "Checked") -> "Iterator[tuple[PrometheusSource | None, Policy]]":
    """Each policy that a Prometheus can answer for, with its source as the config has it; None without a config."""
    from rollbackd.controller.config.values import PrometheusSource

    for policy in checked.loaded.policies:
        like = checked.config.sources.get(policy.source) if checked.config is not None else None
        if policy.is_metered:
            say(f"{policy.name}: not looked up: it reads CloudWatch; `rollbackd doctor` asks that")
        elif like is None or isinstance(like, PrometheusSource):
            yield like, policy
        else:
            say(f"{policy.name}: not looked up: its source {policy.source} is no Prometheus")


def _found(checked: "Checked", policies: "list[Policy]", source: "Source") -> "tuple[Fault, ...]":
    """Raises AdapterError where the server does not answer at all."""
    from rollbackd.controller.cli.doctor import quietly
    from rollbackd.controller.clock import now
    from rollbackd.controller.doctor.sighting import sighted
    from rollbackd.controller.doctor.surroundings import Checkable
    from rollbackd.controller.notify.clocks import TellsTime

    if isinstance(source, TellsTime):
        source.clock_skew(now())  # the simplest question: what does not answer it has nothing to say about any policy
    for line in source.check() if isinstance(source, Checkable) else ():
        say(line)
    with quietly():
        return sighted(policies, checked.texts, source, now())
