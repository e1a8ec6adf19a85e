"""What the chart makes of values: the objects, the daemon's config in them, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rollbackd.controller.config.load import Config, load_config
from rollbackd.policies.model.policy import Mode
from tests.helm import schema
from tests.helm.chart import CHART, POLICY, RICH, SMALLEST, Object, merged, of_kind, only, refusal, render, run
from tests.helm.pod_security import faults

SHARED: Object = {"replicas": 3, "store": {"url": "postgresql://rollbackd@db.example/rollbackd", "passwordSecret": "journal"}}
"""Replicas on a PostgreSQL."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    return render(tmp_path_factory.mktemp("shared"), merged(SMALLEST, SHARED))


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    return render(tmp_path_factory.mktemp("smallest"), SMALLEST)


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    return render(tmp_path_factory.mktemp("rich"), RICH)


@pytest.fixture(params=["smallest", "rich"])
def objects(request: pytest.FixtureRequest) -> list[Object]:
    found: list[Object] = request.getfixturevalue(request.param)
    return found


def pod_of(objects: list[Object]) -> Object:
    pod: Object = only(objects, "StatefulSet")["spec"]["template"]
    return pod


def container_of(objects: list[Object]) -> Object:
    (container,) = pod_of(objects)["spec"]["containers"]
    found: Object = container
    return found


def config_of(objects: list[Object], name: str = "rollbackd") -> Config:
    read = load_config(only(objects, "ConfigMap", name)["data"]["rollbackd.yaml"], "rollbackd.yaml", Path("/etc/rollbackd"))
    assert isinstance(read, Config), read
    return read


# --- as a whole -----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [pytest.param({}, id="none"), pytest.param(SMALLEST, id="smallest"), pytest.param(RICH, id="rich")])
def test_helm_finds_nothing_to_say_about_the_chart(tmp_path: Path, values: Object) -> None:
    done = run(tmp_path, values, "lint", str(CHART), "--strict")
    assert (done.returncode, "[ERROR]" in done.stdout, "[WARNING]" in done.stdout) == (0, False, False), done.stdout + done.stderr


def test_the_smallest_installation_has_no_more_than_it_needs(smallest: list[Object]) -> None:
    assert sorted(item["kind"] for item in smallest) == ["ConfigMap", "ConfigMap", "Service", "ServiceAccount", "StatefulSet"]


def test_no_object_is_for_the_whole_cluster_and_none_is_a_secret(rich: list[Object]) -> None:
    kinds = {item["kind"] for item in rich}
    assert kinds == {"ConfigMap", "NetworkPolicy", "Role", "RoleBinding", "Service", "ServiceAccount", "ServiceMonitor", "StatefulSet"}


def test_a_pod_keeps_to_the_restricted_profile(objects: list[Object]) -> None:
    assert faults(pod_of(objects)) == []


def test_a_pod_is_no_user_of_the_image_and_owns_its_volume(objects: list[Object]) -> None:
    context = pod_of(objects)["spec"]["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (65532, 65532, 65532)


def test_only_the_data_and_a_scratch_folder_can_be_written(smallest: list[Object]) -> None:
    mounts = container_of(smallest)["volumeMounts"]
    assert [mount["mountPath"] for mount in mounts if not mount.get("readOnly")] == ["/data", "/tmp"]
    assert [mount["mountPath"] for mount in mounts if "subPath" in mount] == []


def test_the_notes_say_what_it_may_do_where_to_look_and_what_is_missing(tmp_path: Path) -> None:
    done = run(tmp_path, SMALLEST, "install", "rollbackd", str(CHART), "--namespace", "ops", "--dry-run=client")
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    for part in (
        "The most that it may do: suggest. It writes to nothing",
        "exec rollbackd-0 -- rollbackd status",
        "no policy yet",
        "no rights",
        "subPath",
    ):
        assert part in notes


# --- the config -----------------------------------------------------------------------------------------------------------------------------------


def test_the_daemon_reads_the_config_that_is_rendered_and_may_suggest_at_most(smallest: list[Object]) -> None:
    config = config_of(smallest)
    assert (config.mode_cap, config.data_dir, config.policies) == (Mode.SUGGEST, Path("/data"), (Path("/policies"),))
    assert (config.api.listen, config.health) == (("127.0.0.1", 8080), ("0.0.0.0", 8081))


def test_every_key_of_the_config_reaches_the_daemon(rich: list[Object]) -> None:
    written = yaml.safe_load(only(rich, "ConfigMap", "rollbackd")["data"]["rollbackd.yaml"])
    assert {key: written[key] for key in RICH["config"]} == RICH["config"]
    assert config_of(rich).health == ("::", 9000)


def test_a_changed_config_restarts_the_pod_and_a_changed_policy_does_not(tmp_path: Path, smallest: list[Object]) -> None:
    cautious = render(tmp_path, merged(SMALLEST, {"config": {"mode_cap": "observe"}}))
    policed = render(tmp_path, {**SMALLEST, "policies": {"checkout": POLICY}})
    assert (pod_of(cautious) == pod_of(smallest), pod_of(policed) == pod_of(smallest)) == (False, True)


def test_the_probes_ask_the_health_address(objects: list[Object]) -> None:
    container = container_of(objects)
    assert [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")] == [
        {"path": "/healthz", "port": "health"},
        {"path": "/healthz", "port": "health"},
        {"path": "/readyz", "port": "health"},
    ]
    assert [port["containerPort"] for port in container["ports"]] in ([8081], [9000])


# --- policies, secrets, rights, image -------------------------------------------------------------------------------------------------------------


def test_a_policy_reaches_its_file_as_it_was_written(rich: list[Object]) -> None:
    assert only(rich, "ConfigMap", "rollbackd-policies")["data"] == {"checkout.yaml": POLICY}


def test_policies_of_somebody_elses_configmap_are_mounted_and_none_is_made(tmp_path: Path) -> None:
    made = render(tmp_path, {**SMALLEST, "policiesConfigMap": "team-policies"})
    volumes = {volume["name"]: volume for volume in pod_of(made)["spec"]["volumes"]}
    assert volumes["policies"]["configMap"] == {"name": "team-policies"}
    assert [item["metadata"]["name"] for item in of_kind(made, "ConfigMap")] == ["rollbackd"]


def test_a_secret_is_mounted_by_name_readable_by_the_daemon_alone(rich: list[Object]) -> None:
    spec = pod_of(rich)["spec"]
    (hook,) = [volume["secret"] for volume in spec["volumes"] if volume["name"] == "secret-hook"]
    assert hook == {"secretName": "rollbackd-hook", "defaultMode": 0o440}
    assert {"name": "secret-hook", "mountPath": "/secrets/hook", "readOnly": True} in spec["containers"][0]["volumeMounts"]


def test_each_namespace_has_a_role_for_the_deployments_that_are_named(rich: list[Object]) -> None:
    rules = {role["metadata"]["namespace"]: role["rules"] for role in of_kind(rich, "Role")}
    itself = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}
    reads = [
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ]
    acts = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}
    jobs = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]}
    shop, search = {**itself, "resourceNames": ["shop"]}, {**itself, "resourceNames": ["search"]}
    assert rules == {"shop": [{**acts, "resourceNames": ["checkout", "cart"]}, *reads, shop], "search": [acts, *reads, jobs, search]}


def test_the_rights_are_given_to_the_pods_own_account_and_to_no_other(rich: list[Object]) -> None:
    account = {"kind": "ServiceAccount", "name": "undo", "namespace": "rollbackd"}
    assert [binding["subjects"] for binding in of_kind(rich, "RoleBinding")] == [[account], [account]]
    assert (pod_of(rich)["spec"]["serviceAccountName"], only(rich, "ServiceAccount")["metadata"]["name"]) == ("undo", "undo")


def test_the_image_is_the_charts_version_unless_a_digest_says_which(smallest: list[Object], rich: list[Object]) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert container_of(smallest)["image"] == f"rollbackd:{version}"
    assert container_of(rich)["image"] == f"registry.example:5000/ops/rollbackd@sha256:{'a' * 64}"


def test_an_existing_claim_is_used_instead_of_one_of_the_charts(tmp_path: Path) -> None:
    made = only(render(tmp_path, {**SMALLEST, "persistence": {"existingClaim": "journal"}}), "StatefulSet")
    assert "volumeClaimTemplates" not in made["spec"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "journal"}} in made["spec"]["template"]["spec"]["volumes"]


# --- replicas -------------------------------------------------------------------------------------------------------------------------------------


def test_replicas_share_a_store_whose_password_is_a_file(shared: list[Object]) -> None:
    config, container = config_of(shared), container_of(shared)
    assert (only(shared, "StatefulSet")["spec"]["replicas"], config.store) == (3, "postgresql://rollbackd@db.example/rollbackd")
    assert config.store_password == Path("/store/password")
    assert {"name": "store-password", "mountPath": "/store", "readOnly": True} in container["volumeMounts"]
    (volume,) = [volume["secret"] for volume in pod_of(shared)["spec"]["volumes"] if volume["name"] == "store-password"]
    assert volume == {"secretName": "journal", "defaultMode": 0o440, "items": [{"key": "password", "path": "password"}]}


def test_pods_with_replicas_keep_to_the_restricted_profile_and_go_one_after_the_other(shared: list[Object]) -> None:
    assert faults(pod_of(shared)) == []
    assert only(shared, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_each_of_several_parts_is_told_its_own_number(tmp_path: Path) -> None:
    container = container_of(render(tmp_path, merged(SMALLEST, {**SHARED, "sharded": True})))
    assert container["args"] == ["run", "--shard", "$(POD_INDEX)/3"]
    field = {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}
    assert container["env"] == [{"name": "POD_INDEX", "valueFrom": field}]


# --- refusals -------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "says"),
    [
        pytest.param({"replicas": 3}, "replicas: more than one needs a journal that they share: set store.url", id="replicas-without-a-shared-store"),
        pytest.param({"replicas": 0}, "/replicas", id="no-replica"),
        pytest.param({"sharded": True}, "sharded: needs a journal that the parts share: set store.url", id="parts-without-a-shared-store"),
        pytest.param({"store": {"passwordSecret": "pw"}}, "store.passwordSecret: there is no store.url", id="password-for-nothing"),
        pytest.param({"store": {"url": "postgresql://rollbackd:hunter2@db/rollbackd"}}, "/store/url", id="password-in-the-url"),
        pytest.param(
            {"store": {"url": "postgresql://rollbackd@db/rollbackd?password=hunter2"}}, "store.url: a password in it", id="password-behind-the-url"
        ),
        pytest.param(
            {"store": {"url": "postgresql://db/a?user=b&sslpassword=hunter2"}}, "store.url: a password in it", id="password-of-a-key-behind-the-url"
        ),
        pytest.param({"store": {"url": "postgresql://rollbackd@db"}}, "/store/url", id="no-database"),
        pytest.param({"store": {"url": "sqlite:////data/a.db"}}, "/store/url", id="another-kind-of-store"),
        pytest.param({**SHARED, "persistence": {"existingClaim": "one"}}, "each replica needs a volume of its own", id="one-volume-for-all"),
        pytest.param({"config": {"mode_cap": "atuo"}}, "'observe', 'suggest', 'approve', 'auto'", id="mode-misspelt"),
        pytest.param({"config": {"modeCap": "auto"}}, "'modeCap' not allowed", id="config-key-in-camel-case"),
        pytest.param({"config": {"data_dir": "/tmp"}}, "'data_dir' not allowed", id="config-key-of-the-charts-own"),
        pytest.param({"config": {"api": {"listen": "0.0.0.0:8080"}}}, "'listen' not allowed", id="api-for-everyone"),
        pytest.param({"config": {"sources": {"prometheus": {"ulr": "http://p"}}}}, "'ulr' not allowed", id="source-key-misspelt"),
        pytest.param({"config": {"sources": {"Prometheus": {"url": "http://p"}}}}, "'Prometheus' not allowed", id="source-name-in-capitals"),
        pytest.param({"config": {"guards": {"in_flight": 0}}}, "/config/guards/in_flight", id="guard-that-is-never-open"),
        pytest.param({"config": {"guards": {"cooldown": "half an hour"}}}, "/config/guards/cooldown", id="duration-in-words"),
        pytest.param({"config": {"contacts": {"oncall": []}}}, "/config/contacts/oncall", id="contact-without-a-channel"),
        pytest.param({"policies": {"checkout": {"kind": "RollbackPolicy"}}}, "got object, want string", id="policy-that-is-no-text"),
        pytest.param({"policies": {"checkout": "kind: Deployment"}}, "/policies/checkout", id="policy-of-another-kind"),
        pytest.param({"policies": {"../checkout": POLICY}}, "'../checkout' not allowed", id="policy-name-that-is-a-path"),
        pytest.param({"secrets": {"hook": {"url": "https://hooks.example"}}}, "got object, want string", id="secret-by-value"),
        pytest.param({"secrets": {"hook": "https://hooks.example/T0/B0"}}, "/secrets/hook", id="secret-that-is-no-name"),
        pytest.param({"rights": {"shop": {"deployments": []}}}, "/rights/shop/deployments", id="rights-to-nothing"),
        pytest.param({"rights": {"shop": {"deployments": "all", "jobs": "yes"}}}, "/rights/shop/jobs", id="rights-to-jobs-by-name"),
        pytest.param({"rights": {"shop": {}}}, "missing property 'deployments'", id="rights-that-are-not-said"),
        pytest.param({"rights": {"shop": {"deployments": ["*"]}}}, "/rights/shop/deployments", id="rights-by-wildcard"),
        pytest.param({"rights": {"*": {"deployments": "all"}}}, "'*' not allowed", id="rights-everywhere"),
        pytest.param({"image": {"digest": "latest"}}, "/image/digest", id="digest-that-is-none"),
        pytest.param({"health": {"port": 8080}}, "/health/port", id="health-where-the-api-is"),
        pytest.param({"persistence": {"enabled": False}}, "'enabled' not allowed", id="journal-that-is-not-kept"),
        pytest.param({"resources": {"limit": {"memory": "1Gi"}}}, "'limit' not allowed", id="limits-misspelt"),
        pytest.param({"terminationGracePeriodSeconds": 5}, "/terminationGracePeriodSeconds", id="no-time-to-stop"),
        pytest.param({"serviceAccount": {"create": False}}, "serviceAccount.name: needed where serviceAccount.create is false", id="account-of-all"),
        pytest.param({"policies": {"a": POLICY}, "policiesConfigMap": "b"}, "policies and policiesConfigMap: give one of them", id="two-sets"),
    ],
)
def test_a_wrong_value_is_refused(tmp_path: Path, values: Object, says: str) -> None:
    assert says in refusal(tmp_path, merged(SMALLEST, values))


def test_without_a_source_it_is_said_how_to_name_one(tmp_path: Path) -> None:
    assert "config.sources: name at least one, for example --set config.sources.prometheus.url=" in refusal(tmp_path, {})


# --- what keeps it true ---------------------------------------------------------------------------------------------------------------------------


def test_the_charts_schema_of_the_config_is_the_daemons_own() -> None:
    assert schema.renewed(schema.written()) == schema.written(), "the daemon's config has changed: .venv/bin/python -m tests.helm.schema"


def test_the_schema_knows_every_value_and_no_other() -> None:
    values, known = yaml.safe_load((CHART / "values.yaml").read_text()), schema.written()["properties"]
    assert known.keys() - values.keys() == {"global"}
    assert values.keys() - known.keys() == set()


def test_every_object_of_the_schema_that_is_ours_is_closed() -> None:
    assert list(_open(schema.written(), "values")) == []


KUBERNETES_OWN = {"global", "tolerations", "affinity", "extraVolumes", "extraVolumeMounts"}


def _open(part: Any, trail: str) -> Any:
    if isinstance(part, list):
        for number, item in enumerate(part):
            yield from _open(item, f"{trail}[{number}]")
    if not isinstance(part, dict) or trail.rpartition(" ")[2] in KUBERNETES_OWN:
        return
    if part.get("type") == "object" and "additionalProperties" not in part:
        yield trail
    for key, value in part.items():
        yield from _open(value, f"{trail} {key}")
