"""Checks of who is told. Nothing is sent: `rollbackd notify test` does that."""

from collections.abc import Iterator

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.notice import Notifier
from rollbackd.controller.doctor.files import TO_READ, unreadable
from rollbackd.controller.doctor.findings import Finding, Grade
from rollbackd.controller.doctor.surroundings import Checkable, Surroundings
from rollbackd.controller.wiring.channels import kind_of


def contacts(around: Surroundings) -> Iterator[Finding]:
    """Every contact's channels can be made, find their files, and know of no obstacle. A policy that tells nobody is a warning of the policies."""
    if not around.contacts:
        yield Finding("contacts", "config", Grade.WARN, "there is no contact: nobody is ever told", "add one under `contacts`")
    for name, channels in around.contacts.items():
        files = list(unreadable(around.config.contacts[name], f"contacts.{name}"))
        obstacles = [] if files else _obstacles(channels)  # what cannot be read at all is said once
        for trail, fault in files:
            yield Finding("contacts", trail, Grade.FAIL, fault, TO_READ)
        for line in obstacles:
            yield Finding("contacts", name, Grade.FAIL, line)
        if not files and not obstacles:
            kinds = ", ".join(map(kind_of, around.config.contacts[name]))
            yield Finding("contacts", name, Grade.PASS, f"can be told through {kinds}; nothing was sent")


def _obstacles(channels: tuple[Notifier, ...] | AdapterError) -> list[str]:
    if isinstance(channels, AdapterError):
        return [str(channels)]
    return [line for channel in channels if isinstance(channel, Checkable) for line in channel.check()]
