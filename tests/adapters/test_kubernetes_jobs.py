"""Which Jobs count for which release, to the second."""

from typing import Any

import pytest

from rollbackd.adapters.kubernetes.jobs import MOST, JobBook
from rollbackd.adapters.kubernetes.place import Place
from rollbackd.adapters.kubernetes.survey import Rollout

CHECKOUT = Place("a", "shop", "checkout")
REVISION = "deployment.kubernetes.io/revision"


class Listing:
    """A cluster in which these Jobs are listed."""

    name = "a"

    def __init__(self, *jobs: dict[str, Any]) -> None:
        self.jobs = list(jobs)

    def find(self, resource: str, namespace: str) -> list[dict[str, Any]]:
        assert (resource, namespace) == ("jobs", "shop")
        return self.jobs


def job(name: str, began: str | None, *images: str) -> dict[str, Any]:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images or ("shop:2",))]
    status = {"startTime": began} if began else {}
    return {"metadata": {"name": name, "uid": f"{name} {began}"}, "spec": {"template": {"spec": {"containers": containers}}}, "status": status}


def replicaset(number: int, made: str) -> dict[str, Any]:
    return {"metadata": {"annotations": {REVISION: str(number)}, "creationTimestamp": made}}


def rollout(*replicasets: dict[str, Any]) -> Rollout:
    """The first is the current one."""
    return Rollout(CHECKOUT, {}, replicasets, replicasets[0] if replicasets else None)


RELEASED = rollout(replicaset(7, "2026-03-02T12:00:00Z"), replicaset(5, "2026-03-01T12:00:00Z"), replicaset(4, "2026-02-01T12:00:00Z"))


def ran(*jobs: dict[str, Any], of: Rollout = RELEASED, pattern: str = "migrate-*") -> str | None:
    book = JobBook()
    book.watch({CHECKOUT.key: (pattern,), "command:nothing": ("migrate-*",)})
    book.look(Listing(*jobs), "shop")  # type: ignore[arg-type]  # all that is asked of a cluster
    return book.ran(of)


@pytest.mark.parametrize(
    ("began", "counts"),
    [
        pytest.param("2026-03-01T11:59:59Z", False, id="before-the-former-release"),
        pytest.param("2026-03-01T12:00:00Z", True, id="in-the-same-second"),
        pytest.param("2026-03-02T11:59:59Z", True, id="ahead-of-the-release"),
        pytest.param("2026-03-09T12:00:00Z", True, id="a-week-after-it"),
        pytest.param(None, False, id="not-begun"),
    ],
)
def test_a_job_counts_from_the_beginning_of_the_former_release(began: str | None, counts: bool) -> None:
    assert (ran(job("migrate-1", began)) is not None) is counts


def test_the_newest_is_named_with_its_images() -> None:
    found = ran(job("migrate-1", "2026-03-02T11:00:00Z"), job("migrate-2", "2026-03-02T11:30:00Z", "shop:2", "proxy:1"))
    assert found == "Job migrate-2 (images shop:2, proxy:1) ran at 2026-03-02T11:30:00+00:00"


@pytest.mark.parametrize("of", [rollout(replicaset(1, "2026-03-01T12:00:00Z")), rollout()], ids=["first", "not-made"])
def test_a_release_without_a_former_one_crosses_nothing(of: Rollout) -> None:
    assert ran(job("migrate-1", "2026-03-02T12:00:00Z"), of=of) is None


@pytest.mark.parametrize(("pattern", "counts"), [("migrate-1", True), ("*-1", True), ("migrate", False), ("m*1", True)])
def test_a_name_is_the_whole_name(pattern: str, counts: bool) -> None:
    assert (ran(job("migrate-1", "2026-03-02T12:00:00Z"), pattern=pattern) is not None) is counts


def test_the_newest_runs_are_remembered_and_no_more() -> None:
    many = [job(f"migrate-{number}", f"2026-03-02T12:{number // 60:02}:{number % 60:02}Z") for number in range(MOST + 1)]
    book = JobBook()
    book.watch({CHECKOUT.key: ("migrate-*",)})
    book.look(Listing(*many), "shop")  # type: ignore[arg-type]  # all that is asked of a cluster
    book.watch({CHECKOUT.key: ("migrate-0",)})
    assert book.ran(RELEASED) is None
    book.watch({CHECKOUT.key: (f"migrate-{MOST}", "migrate-1")})
    assert str(book.ran(RELEASED)).startswith(f"Job migrate-{MOST} ")
