"""Which pods are of which revision while a rollout is under way: told by the names of their ReplicaSets."""

from typing import Any

import pytest

from rollbackd.adapters.base.target import Sides
from rollbackd.adapters.kubernetes.place import Place
from rollbackd.adapters.kubernetes.survey import Rollout, state

TEMPLATE = {"metadata": {}, "spec": {"containers": [{"name": "web", "image": "shop:2"}]}}
DEPLOYMENT = {"metadata": {"uid": "u", "generation": 1}, "spec": {"template": TEMPLATE, "selector": {}, "replicas": 3}, "status": {}}


def replicaset(name: str, ready: int) -> dict[str, Any]:
    metadata = {"name": name, "creationTimestamp": "2026-11-22T14:00:00Z"}
    return {"metadata": metadata, "spec": {"template": TEMPLATE}, "status": {"readyReplicas": ready} if ready else {}}


@pytest.mark.parametrize(
    ("new", "others", "expected"),
    [
        pytest.param(2, {"a": 1, "b": 0}, Sides("new", ("a",)), id="both-serve"),
        pytest.param(1, {"b": 1, "a": 2}, Sides("new", ("a", "b")), id="two-older-ones"),
        pytest.param(3, {"a": 0}, None, id="the-rollout-is-complete"),
        pytest.param(0, {"a": 3}, None, id="no-new-pod-serves-yet"),
        pytest.param(None, {"a": 3}, None, id="the-new-one-is-not-made-yet"),
    ],
)
def test_the_sides_of_a_rollout_are_the_replicasets_that_serve(new: int | None, others: dict[str, int], expected: Sides | None) -> None:
    current = None if new is None else replicaset("new", new)
    every = (*([current] if current is not None else []), *(replicaset(name, ready) for name, ready in others.items()))
    assert state(Rollout(Place("test", "shop", "checkout"), DEPLOYMENT, every, current), None).sides == expected


@pytest.mark.parametrize(
    ("new", "others", "expected"),
    [
        pytest.param(3, {"a": 0}, Sides("new", ("a",)), id="the-rollout-is-complete"),
        pytest.param(3, {"a": 0, "c": 0, "b": 0}, Sides("new", ("c", "b")), id="the-two-newest-of-those-that-are-kept"),
        pytest.param(3, {}, None, id="the-first-rollout"),
        pytest.param(None, {"a": 3}, None, id="the-new-one-is-not-made-yet"),
    ],
)
def test_pods_that_are_gone_are_told_by_what_is_kept_for_an_undo(new: int | None, others: dict[str, int], expected: Sides | None) -> None:
    numbers = {"a": 1, "b": 2, "c": 3, "new": 4}
    every = [replicaset(name, ready) for name, ready in {**others, **({} if new is None else {"new": new})}.items()]
    for item in every:
        item["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": str(numbers[item["metadata"]["name"]])}
    current = None if new is None else every[-1]
    assert state(Rollout(Place("test", "shop", "checkout"), DEPLOYMENT, tuple(every), current), None).past_sides == expected
