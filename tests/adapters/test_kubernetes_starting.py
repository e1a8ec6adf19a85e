"""Which words of a kubelet mean that a pod will never start: tables of judgements, no server."""

from typing import Any

import pytest

from rollbackd.adapters.kubernetes.starting import final_fault, trouble

BACK_OFF = 'Back-off pulling image "shop:1"'
RUNS: dict[str, Any] = {"metadata": {"name": "a"}, "status": {"containerStatuses": [{"name": "web", "state": {"running": {}}}]}}


def waits(reason: str, message: str = "", restarts: int = 0, kind: str = "containerStatuses") -> dict[str, Any]:
    """A pod whose container waits."""
    waiting = {"reason": reason, **({"message": message} if message else {})}
    return {"metadata": {"name": "b"}, "status": {kind: [{"name": "web", "restartCount": restarts, "state": {"waiting": waiting}}]}}


PASSES = [
    pytest.param("ImagePullBackOff", f"{BACK_OFF}: ErrImagePull: unexpected status code 429 Too Many Requests", id="registry-429"),
    pytest.param("ImagePullBackOff", f"{BACK_OFF}: ErrImagePull: toomanyrequests: You have reached your pull rate limit", id="rate-limit"),
    pytest.param("ImagePullBackOff", f"{BACK_OFF}: ErrImagePull: dial tcp 10.0.0.1:443: i/o timeout", id="time-out"),
    pytest.param("ErrImagePull", "unexpected status from HEAD request: 503 Service Unavailable", id="registry-503"),
    pytest.param("ErrImagePull", "denied: Your authorization token has expired. Reauthenticate and try again.", id="expired-token"),
    pytest.param("ImagePullBackOff", BACK_OFF, id="a-kubelet-that-names-no-cause"),
    pytest.param("CreateContainerConfigError", "failed to sync configmap cache: timed out waiting for the condition", id="configmap-cache"),
    pytest.param("CreateContainerConfigError", "services have not yet been read at least once, cannot construct envvars", id="services-unread"),
]
FOR_GOOD = [
    pytest.param("ImagePullBackOff", f"{BACK_OFF}: ErrImagePull: docker.io/library/shop:1: not found", id="not-found"),
    pytest.param("ErrImagePull", "manifest for shop:1 not found: manifest unknown: manifest unknown", id="manifest-unknown"),
    pytest.param("ErrImagePull", "no match for platform in manifest: not found", id="another-platform"),
    pytest.param("ErrImagePull", "pull access denied, repository does not exist or may require authorization", id="access-denied"),
    pytest.param("ErrImagePull", "failed to authorize: unexpected status: 401 Unauthorized", id="unauthorized"),
    pytest.param("ErrImageNeverPull", 'Container image "shop:1" is not present with pull policy of Never', id="never-pull"),
    pytest.param("InvalidImageName", 'Failed to apply default image tag "shop::1"', id="invalid-name"),
    pytest.param("CreateContainerConfigError", 'configmap "app-7h2k9" not found', id="configmap-gone"),
    pytest.param("CreateContainerConfigError", 'secret "app" not found', id="secret-gone"),
    pytest.param("CreateContainerConfigError", "couldn't find key mode in ConfigMap shop/app", id="key-gone"),
    pytest.param("CreateContainerConfigError", "container has runAsNonRoot and image will run as root", id="root"),
]


@pytest.mark.parametrize(("reason", "message"), PASSES)
def test_what_passes_on_one_node_is_no_final_fault_and_is_told(reason: str, message: str) -> None:
    pods = [*[RUNS] * 49, waits(reason, message)]
    assert (final_fault(pods), trouble(pods)) == (None, f"pod b, container web: {reason}: {message}")


@pytest.mark.parametrize(("reason", "message"), FOR_GOOD)
def test_what_waiting_does_not_mend_is_a_final_fault(reason: str, message: str) -> None:
    assert final_fault([RUNS, waits(reason, message)]) == f"pod b, container web: {reason}: {message}"


def test_a_final_fault_of_an_init_container_counts_too() -> None:
    assert final_fault([waits("InvalidImageName", kind="initContainerStatuses")]) == "pod b, container web: InvalidImageName"


@pytest.mark.parametrize(("restarts", "is_final"), [(2, False), (3, True)])
def test_a_crash_is_final_from_the_third_restart_on(restarts: int, is_final: bool) -> None:
    assert (final_fault([waits("CrashLoopBackOff", restarts=restarts)]) is not None) is is_final


@pytest.mark.parametrize(
    ("message", "is_final"),
    [
        pytest.param("back-off 10s restarting failed container=web pod=b_shop(1)", False, id="first"),
        pytest.param("back-off 20s restarting failed container=web pod=b_shop(1)", False, id="second"),
        pytest.param("back-off 40s restarting failed container=web pod=b_shop(1)", True, id="third"),
        pytest.param("back-off 1m20s restarting failed container=web pod=b_shop(1)", True, id="fourth"),
        pytest.param("back-off 5m0s restarting failed container=web pod=b_shop(1)", True, id="the-longest"),
        pytest.param("Back-off restarting failed container", True, id="a-kubelet-that-names-no-time"),
    ],
)
def test_an_old_pod_that_crashed_long_ago_is_judged_by_the_back_off_that_it_is_in(message: str, is_final: bool) -> None:
    assert (final_fault([waits("CrashLoopBackOff", message, restarts=15)]) is not None) is is_final


def test_pods_that_start_are_in_no_trouble() -> None:
    assert trouble([RUNS, waits("ContainerCreating")]) is None


def test_many_pods_in_trouble_are_one_line() -> None:
    assert trouble([waits("ErrImagePull")] * 3) == "pod b, container web: ErrImagePull (and 2 more)"
