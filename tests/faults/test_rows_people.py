"""Rows 47 to 51: policy files that break, vanish or are hostile; approvals that are not what they seem; a pause in the middle."""

import itertools
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.faults.house import ILL, WELL, House, house_in, shop_policy
from tests.faults.server import FaultServer
from tests.faults.test_rows_sources import released
from tests.servers import poll

# --- 47, 48, 49: policy files ---------------------------------------------------------------------------


def names(house: House) -> set[str]:
    return set(house.parts.engine.policies)


def test_row_47_a_broken_policy_keeps_the_last_good_one_and_the_other_files_load(house: House) -> None:
    house.serve()
    house.write_policy("shop", shop_policy().replace("mode: auto", "mode: atuo"))
    house.write_policy("zoo", shop_policy("zoo"))
    house.reload()
    assert names(house) == {"shop", "zoo"}
    assert "rollbackd_config_last_reload_successful 0.0" in house.page("/metrics")[1]
    (fault,) = house.parts.files.last.faults if house.parts.files.last else ()
    assert "mode: expected one of observe, suggest, approve, auto, found 'atuo'" in str(fault)
    house.ill(6)
    assert house.applied() == ["v1"]  # the last good one acts


def shrink(house: House, left: int) -> None:
    for file in sorted((house.folder / "policies.d").iterdir())[left:]:
        file.unlink()


@pytest.mark.parametrize("left", [0, 1])
def test_row_48_a_set_that_vanishes_or_shrinks_by_more_than_half_is_kept_until_people_say_so(tmp_path: Path, server: FaultServer, left: int) -> None:
    four = {name: shop_policy(name) for name in ("shop", "zoo", "bar", "inn")}
    with house_in(tmp_path, server, four, services=tuple(four)) as house:
        shrink(house, left)
        house.reload()
        assert names(house) == set(four)
        assert "the old set stays until a second SIGHUP confirms" in str(house.parts.files.last and house.parts.files.last.held_back)
        house.reload(confirm=True)
        assert names(house) == set(four)
        assert house.paged() == ["NO ACTION TAKEN: most policies are gone from the files; the former set holds"]
        house.reload(confirm=True)
        assert len(names(house)) == left


def test_row_48_an_incident_of_the_last_policy_is_held_once_people_have_confirmed_that_it_is_gone(house: House) -> None:
    house.ill(4)
    assert house.kinds()[-1] != "incident.held"
    shrink(house, 0)
    for confirm in (False, True):
        house.reload()
        house.chore("journal")
        assert "incident.held" not in house.kinds()
        house.reload(confirm=confirm)
    house.reload(confirm=True)
    house.chore("journal")
    poll(lambda: "incident.held" in house.kinds())


def bomb() -> str:
    levels = "abcdefghi"
    return "a: &a [x,x]\n" + "".join(f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in itertools.pairwise(levels))


HOSTILE = [
    pytest.param(bomb(), "anchor", id="alias-bomb"),
    pytest.param("a: " + "x" * (10 << 20), "1 MiB", id="10-mb"),
    pytest.param("a: 1\na: 2\n", "'a'", id="duplicate-key"),
    pytest.param("a: !!python/object/apply:os.system ['touch /tmp/owned']\n", "tag", id="python-tag"),
    pytest.param("[" * 5000, "", id="without-end"),
]


@pytest.mark.parametrize(("text", "word"), HOSTILE)
def test_row_49_hostile_yaml_is_refused_with_its_line_and_the_good_policy_stays(house: House, text: str, word: str) -> None:
    house.write_policy("shop", text)
    house.reload()
    assert names(house) == {"shop"}
    last = house.parts.files.last
    assert last is not None
    assert word in "\n".join(map(str, last.faults))
    assert all(fault.line >= 1 for fault in last.faults)


# --- 50: approvals ---------------------------------------------------------------------------


@pytest.fixture
def approving(house: House) -> House:
    """A plan to put the release back waits for people; its API listens."""
    house.write_policy("shop", shop_policy(mode="approve"))
    house.reload()
    house.serve()
    released(house)
    house.slots(6)
    assert house.kinds()[-1] == "plan.offered" or house.incidents()[0].offer is not None
    return house


def approve(house: House, token: str | None = None, **more: Any) -> tuple[int, dict[str, Any]]:
    (incident,) = house.incidents()
    offer = incident.offer
    assert offer is not None
    body = {"incident": incident.id, "plan": offer.plan_digest, "who": "ann", "reason": "", **more}
    return house.post("approve", token=token, **body)


def test_row_50_a_forged_approval_is_refused_and_decides_nothing(approving: House) -> None:
    code, said = approve(approving, token="not-the-token")
    approving.slots(2)
    assert (code, approving.applied()) == (401, []), said


def test_row_50_an_approval_of_another_plan_is_refused_and_on_record(approving: House) -> None:
    code, said = approve(approving, plan="0" * 64)
    approving.slots(2)
    assert (code, approving.applied()) == (409, []), said
    assert "approval.refused" in approving.kinds()


def test_row_50_an_approval_that_is_replayed_decides_nothing_more(approving: House) -> None:
    (incident,) = approving.incidents()
    offer = incident.offer
    assert offer is not None
    body = {"incident": incident.id, "plan": offer.plan_digest, "who": "ann", "reason": ""}
    assert approving.post("approve", **body)[0] == 200
    poll(lambda: approving.applied() == ["v1"], within=30)
    approving.measured(shop=WELL)
    approving.slots(8)
    code, said = approving.post("approve", **body)
    assert code in (404, 409), said
    approving.slots(2)
    assert approving.applied() == ["v1"]


# --- 51: a pause in the middle ---------------------------------------------------------------------------


def test_row_51_a_pause_during_a_step_lets_it_end_and_the_next_does_not_begin(tmp_path: Path, server: FaultServer) -> None:
    flags = tmp_path / "flags.json"
    states = {"state": "ENABLED", "variants": {"on": True, "off": False}}
    flags.write_text(json.dumps({"flags": {"new-checkout": {**states, "defaultVariant": "off"}}}))
    ladder = [{"flags": {"provider": "flagd", "all": True, "only": "changed"}}, {"revert": {"to": "known-good"}}]
    provider = {"flagd": {"file": str(flags), "settle": "2s"}}
    with house_in(tmp_path, server, {"shop": shop_policy(remedy=ladder)}, flags=provider) as house:
        house.measured(shop=WELL)
        house.slots(2)
        house.good()
        house.deploy("v2")
        flags.write_text(json.dumps({"flags": {"new-checkout": {**states, "defaultVariant": "on"}}}))
        house.slots(1)
        house.measured(shop=ILL)

        def is_written() -> bool:
            house.look()
            return "rung.applied" in house.kinds()

        poll(is_written, within=30)
        (house.folder / "data" / "pause").write_text("game day\n")
        threading.Event().wait(0.1)
        house.slots(8)
        assert house.body("rung.settled")
        assert '"defaultVariant": "off"' in flags.read_text()
        assert (house.version(), house.applied()) == ("v2", [])
        assert house.body("incident.held")["guard"] == "pause"
        (house.folder / "data" / "pause").unlink()
        house.slots(4)
        assert house.applied() == []  # what a pause has stopped is not begun by its end
        assert len(house.paged()) == 1
