"""What the doctor says of fleets, before a daemon watches anybody by them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.roster import Listed
from rollbackd.controller.doctor.checks import examine
from rollbackd.controller.doctor.findings import Finding, is_cut_off
from rollbackd.controller.doctor.fleets import fleets
from tests.controller.fleets import Listing
from tests.controller.patient import Patient, shop_policy
from tests.e2e.daemon import policy


def web(most: int = 3) -> str:
    written = yaml.safe_load(shop_policy("web"))
    spec = written["spec"]
    del spec["target"], spec["match"]
    spec["select"] = {"kubernetes": {"labels": {"rollback": "on"}}, "expect": {"max": most}}
    return yaml.safe_dump(written)


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., tuple[Finding, ...]]:
    """What the check finds where this is listed, or where the cluster answers with this error."""

    def run(*listed: Listed, fault: AdapterError | None = None, **policies: str) -> tuple[Finding, ...]:
        patient = Patient(tmp_path, policies={"web": web(), **policies})
        around = replace(patient.around(), targets={"kubernetes": Listing(listed, fault=fault)})  # type: ignore[dict-item]  # all that is asked of it
        return examine(around, within=timedelta(seconds=60), checks={"fleets": fleets})

    return run


def test_a_fleet_that_is_as_expected_says_who_would_be_watched(found):
    own = policy("mine", {"kubernetes": {"namespace": "shop", "deployment": "own"}}, {"use": "error-rate"}, every="15s", timing={})
    (said,) = found(Listed("shop", "cart"), Listed("shop", "out", {}, {"opt-out": "true"}), Listed("shop", "own"), mine=own)
    assert (said.grade.value, said.found) == ("pass", "3 found: 1 in mode auto, 1 opted out, 1 with a policy of their own")


def test_a_selector_that_matches_more_than_expected_is_a_failure(found):
    (said,) = found(*(Listed("shop", f"w{number}") for number in range(4)))
    assert (said.grade.value, said.found) == ("fail", "its selector matches 4, expected at most 3: a daemon that starts now watches nobody by it")


def test_a_member_whose_annotations_make_no_sense_is_a_warning(found):
    _, said = found(Listed("shop", "cart", {}, {"mode": "off"}))
    assert (said.subject, said.grade.value) == ("kubernetes:default/shop/deployment/cart", "warn")
    assert "annotation rollbackd.io/mode: 'off' is not understood" in said.found


@pytest.mark.parametrize(("fault", "cut"), [(Permanent("not allowed to list deployments"), False), (Transient("no answer"), True)])
def test_a_list_that_cannot_be_had_is_a_failure(found, fault, cut):
    said = found(fault=fault)
    assert [(one.grade.value, one.found) for one in said] == [("fail", str(fault))]
    assert is_cut_off(said) is cut


def test_a_fleet_is_a_policy_that_is_loaded(tmp_path):
    (said,) = Patient(tmp_path, policies={"web": web()}).findings("policies")
    assert (said.grade.value, said.found) == ("pass", "1 sound, in mode auto")
