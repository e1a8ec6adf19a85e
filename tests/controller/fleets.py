"""A fleet in a world of commands: workloads that a list names, each with a version in a file and a command that puts it back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.roster import Listed
from rollbackd.adapters.command import Command
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.journal.values import How, Standing
from rollbackd.controller.notify.roster_news import RosterNews
from rollbackd.controller.observe.membership import FleetStanding, Membership
from rollbackd.policies.fleets.policy import Expected, FleetPolicy, Selection
from rollbackd.policies.model.policy import RevertRung
from rollbackd.policies.model.readings import Reading
from rollbackd.policies.model.signals import Identity
from tests.controller.world import EVERY, SHOP_POLICY, World, command

CONDITION = replace(SHOP_POLICY.conditions[0], identity=Identity(("app", "namespace"), ("$name", "$namespace")))
TEMPLATE = replace(
    SHOP_POLICY, name="web", digest="web", file="web.yaml", target="command:$name", ladder=(RevertRung("command:$name"),), conditions=(CONDITION,)
)
FLEET = FleetPolicy(TEMPLATE, Selection("default", (("rollback", "on"),)), Expected(1, 400), digest="web")
"""Members are commands of their own name: what is told apart by its name can be put back here."""


@dataclass
class Listing:
    """A platform whose workloads are what the test says: ``listed`` have every label that is asked for, ``others`` none. ``fault``: no answer.

    See base.roster.Roll.
    """

    listed: tuple[Listed, ...] = ()
    others: tuple[Listed, ...] = ()
    fault: AdapterError | None = None
    asked: list[tuple[str, Mapping[str, str], tuple[str, ...]]] = field(default_factory=list)

    def workloads(self, cluster: str, labels: Mapping[str, str], namespaces: Sequence[str] = ()) -> tuple[Listed, ...]:
        self.asked.append((cluster, labels, tuple(namespaces)))
        if self.fault is not None:
            raise self.fault
        return self.listed if labels else (*self.listed, *self.others)

    def roll_rights(self, cluster: str, namespaces: Sequence[str] = ()) -> tuple[str, ...]:
        return ()

    def shows(self, *names: str, labels: Mapping[str, str] | None = None, **notes: str) -> None:
        """These workloads of the namespace shop; ``notes`` are annotations of each, with a dash for ``_``."""
        written = {name.replace("_", "-"): value for name, value in notes.items()}
        self.listed = tuple(Listed("shop", name, labels or {}, written) for name in names)


class FleetWorld:
    """A world whose policies are those of fleets. ``refresh`` asks the listing; ``slot`` looks at every member."""

    def __init__(self, folder: Path, *workloads: str, fleets: tuple[FleetPolicy, ...] = (FLEET,), patience: timedelta = timedelta(seconds=5)) -> None:
        self.world = World(folder, patience=patience)
        self.folder = folder
        for name in workloads:
            self.deploy(name, "v1")
        self.world.targets["command"] = Command({name: command(folder, name) for name in workloads})
        self.listing = Listing()
        self.listing.shows(*workloads)
        self.world.engine.adopt(())
        tell = RosterNews(self.world.store, lambda: None).tell
        self.membership = Membership(self.listing, frozenset({"platform", "payments"}), lambda: self.world.at, self.world.engine.adopt, tell)
        self.membership.take((), fleets)

    def deploy(self, name: str, version: str) -> None:
        (self.folder / name).write_text(f"{version}\n")

    def version(self, name: str) -> str:
        return (self.folder / name).read_text().strip()

    def good(self, *names: str, revision: str = "v1") -> None:
        with self.world.store.transaction() as tx:
            for name in names:
                tx.mark(f"command:{name}", revision, Standing.GOOD, How.DECLARED, self.world.at)

    def members(self) -> list[str]:
        """The names of the policies that hold."""
        return sorted(self.world.engine.policies)

    def standing(self) -> FleetStanding:
        (found,) = self.membership.standings()
        return found

    def slot(self, reading: Callable[[str, datetime], Reading]) -> None:
        """The next slot: what each policy reads, by its name."""
        world = self.world
        world.at += EVERY
        readings = {name: (reading(name, world.at),) * len(policy.conditions) for name, policy in world.engine.policies.items()}
        world.engine.cycle(Batch(world.at, world.survey(), readings))
        world.rest()

    def close(self) -> None:
        self.world.close()
