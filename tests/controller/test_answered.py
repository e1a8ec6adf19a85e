"""What one service's incident was about is answered for that service: whoever else broke by it is judged and put back for itself."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from rollbackd.adapters.command import Command
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.journal.values import How, Standing
from rollbackd.controller.observe.survey import Surveyor
from rollbackd.policies.model.policy import Dependency, FlagsRung, OutsideWatch, RevertRung
from tests.controller.world import EVERY, FLAGS, SHOP, SHOP_POLICY, World, command, served

PAY = "command:pay"
SHOP_REVERTS = replace(SHOP_POLICY, ladder=(RevertRung(SHOP),))
PAY_REVERTS = replace(SHOP_POLICY, name="pay", digest="pay", target=PAY, ladder=(RevertRung(PAY),))


class Two(World):
    """The shop and what pays for it, each with a policy of its own."""

    def __init__(self, folder, *policies) -> None:
        self.pay = folder / "pay"
        self.pay.write_text("p1\n")
        super().__init__(folder, *policies)
        self.targets["command"] = Command({"shop": command(folder), "pay": command(folder, "pay")})
        self.surveyor = Surveyor(self.targets)
        self.both(0, 0)
        self.good("v1")
        with self.store.transaction() as tx:
            tx.mark(PAY, "p1", Standing.GOOD, How.DECLARED, self.at)

    def both(self, shop: float, pay: float) -> None:
        """The next slot, with so many errors of each."""
        self.at += EVERY
        self.engine.cycle(Batch(self.at, self.survey(), {"shop": (served(self.at, shop),), "pay": (served(self.at, pay),)}))
        self.rest()

    def shop_breaks_by_two_suspects(self) -> None:
        """Its release v2 and what changed just before are both suspects of its incident; v2 is put back, and all is well for ten minutes."""
        self.deploy("v2")
        self.both(0, 0)
        for _ in range(4):
            self.both(300 if self.version.read_text() == "v2\n" else 0, 0)
        assert (self.version.read_text(), len(self.incidents()[0].suspects)) == ("v1\n", 2)
        for _ in range(60):
            self.both(0, 0)

    def opened(self) -> list[str | None]:
        """The targets of all incidents, oldest first."""
        return [entry.target for entry in reversed(self.store.history(1000)) if entry.kind == "incident.opened"]


@pytest.fixture
def two(tmp_path) -> Iterator:
    """Begins such a world."""
    worlds: list[Two] = []

    def begun(*policies):
        worlds.append(Two(tmp_path, *policies))
        return worlds[-1]

    yield begun
    for world in worlds:
        world.close()


def test_a_release_that_was_a_suspect_in_its_dependants_incident_is_put_back_when_it_breaks_itself(two):
    world = two(replace(SHOP_REVERTS, depends_on=(Dependency(PAY),)), PAY_REVERTS)
    world.pay.write_text("p2\n")
    world.shop_breaks_by_two_suspects()
    for _ in range(30):
        world.both(0, 300 if world.pay.read_text() == "p2\n" else 0)
    assert (world.pay.read_text(), world.opened()) == ("p1\n", [SHOP, PAY])


def test_a_shared_flag_that_was_a_suspect_in_one_services_incident_is_switched_off_when_it_breaks_the_other(two):
    world = two(replace(SHOP_REVERTS, ladder=(RevertRung(SHOP), FlagsRung(FLAGS))), replace(PAY_REVERTS, ladder=(FlagsRung(FLAGS),)))
    world.flip("on")
    world.both(0, 0)
    world.shop_breaks_by_two_suspects()
    for _ in range(30):
        world.both(0, 300 if world.flag() == "on" else 0)
    assert (world.flag(), world.opened()) == ("off", [SHOP, PAY])


def test_a_shared_flag_that_one_services_incident_had_switched_off_is_no_suspect_of_what_breaks_the_other_later(two):
    """Its last resort would revert a release that nobody changed."""
    last_resort = (FlagsRung(FLAGS), RevertRung(PAY, always=True))
    world = two(replace(SHOP_REVERTS, ladder=(FlagsRung(FLAGS),)), replace(PAY_REVERTS, ladder=last_resort, outside_watch=OutsideWatch.PAGE))
    with world.store.transaction() as tx:
        tx.mark(PAY, "p0", Standing.GOOD, How.DECLARED, world.at)
    world.flip("on")
    world.both(0, 0)
    for _ in range(4):
        world.both(300 if world.flag() == "on" else 0, 0)
    assert (world.flag(), world.opened()) == ("off", [SHOP])
    for _ in range(60):
        world.both(0, 0)
    for _ in range(30):
        world.both(0, 300)
    assert (world.opened(), world.pay.read_text()) == ([SHOP], "p1\n")
    assert world.titles()[-1] == "NO ACTION TAKEN command:pay: error-rate in breach, no change explains it"
