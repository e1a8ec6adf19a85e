"""What is named in a command that people paste is one word of it, however it is called."""

from pathlib import Path

import pytest
import yaml

from rollbackd.adapters import growthbook, launchdarkly
from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.target import PlanRequest
from rollbackd.adapters.command import Command, CommandSpec
from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes, owners
from rollbackd.adapters.kubernetes.place import Place
from tests.doubles.kube import running_double
from tests.doubles.kube.stage import stage_in


def test_a_context_of_a_kubeconfig_is_one_word_of_the_command_that_undoes_by_hand(tmp_path: Path) -> None:
    with running_double(tmp_path) as double:
        config = yaml.safe_load(double.kubeconfig.read_text())
        config["contexts"][0]["name"] = "prod eu; id"
        double.kubeconfig.write_text(yaml.safe_dump(config))
        with stage_in(double, Kubernetes({"test": ClusterAccess(double.kubeconfig, "prod eu; id")})) as stage:
            command = stage.plan(stage.broken()).command
            begin = f"kubectl --context 'prod eu; id' -n {stage.namespace} rollout"
            assert command == f"{begin} undo deployment/checkout --to-revision=1"
            stage.patch({"op": "add", "path": "/spec/paused", "value": True})
            with pytest.raises(Refused) as refused:
                stage.plan("any")
            assert refused.value.advice == f"{begin} resume deployment/checkout, then plan again."


def test_a_namespace_is_one_word_of_the_way_back_that_its_owner_knows() -> None:
    replicaset = {"metadata": {"ownerReferences": [{"kind": "Rollout", "name": "a b", "uid": "2", "controller": True}]}}
    refusal = owners.owner_to_respect(Place("test", "c d", "e f"), {"metadata": {"name": "e f", "uid": "1"}}, [replicaset])
    assert refusal is not None
    assert refusal.advice == "kubectl argo rollouts abort 'a b' -n 'c d', then kubectl argo rollouts undo 'a b' -n 'c d'"


def test_a_command_by_any_name_is_one_word_of_the_advice_to_declare_a_revision() -> None:
    target = Command({"shop; id": CommandSpec(("/bin/true",), ("/bin/true", "{revision}"))})
    with pytest.raises(Refused) as refused:
        target.plan(PlanRequest("command:shop; id", "inc-1", "v2"))
    assert refused.value.advice == "rollbackd good 'command:shop; id' REVISION"


def test_a_flag_and_an_environment_are_one_word_each_of_the_commands_that_switch_by_hand() -> None:
    features = growthbook.Organisation("growthbook", growthbook.api("http://127.0.0.1:1", Path("key")))
    assert features.command("ann's", {}, {"new|cart": {"enabled": False}}).endswith(
        """ http://127.0.0.1:1/api/v2/features/new%7Ccart/toggle -d '{"environments": {"ann'"'"'s": false}}'"""
    )
    flags = launchdarkly.Project("launchdarkly", launchdarkly.api("http://127.0.0.1:1", Path("key")), "shop")
    state = {"on": False, "offVariation": 0}
    command = flags.command("pro d", {"cart;id": state}, {"cart;id": {**state, "on": True}})
    assert command == "ldcli flags toggle-on --project shop --environment 'pro d' --flag 'cart;id'"
