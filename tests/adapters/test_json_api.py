"""A token that is rotated while a question is under way is read again and the question put once more; otherwise a shut door is final."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rollbackd.adapters.base.json_api import JsonApi
from tests.exposition import Loopback, Reply, Request


@contextmanager
def guarded(*takes: str, before: Callable[[], object] = lambda: None) -> Iterator[Loopback]:
    """An API that takes these tokens; ``before`` happens at its first question."""

    def reply(request: Request) -> Reply:
        if len(loopback.asked) <= 1:
            before()
        is_known = request.headers.get("Authorization") in takes
        return Reply(200 if is_known else 401, b'{"ok": true}' if is_known else b'{"message": "who are you?"}')

    loopback = Loopback(reply)
    try:
        yield loopback
    finally:
        loopback.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("old\n")
    return file


def asked(loopback: Loopback, file: Path, method: str) -> tuple[int, list[str]]:
    answer = JsonApi(loopback.url, file, lambda token: {"Authorization": token}).ask(method, "/flags", None if method == "GET" else {"on": False})
    return answer.status, [request.headers["Authorization"] for request in loopback.asked]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_token_that_was_rotated_meanwhile_is_read_and_used_once_more(file: Path, method: str) -> None:
    with guarded("new", before=lambda: file.write_text("new\n")) as loopback:
        assert asked(loopback, file, method) == (200, ["old", "new"])


def test_a_newer_token_that_is_refused_too_is_final(file: Path) -> None:
    with guarded("another", before=lambda: file.write_text("new\n")) as loopback:
        assert asked(loopback, file, "POST") == (401, ["old", "new"])


def test_the_same_token_is_not_tried_twice(file: Path) -> None:
    with guarded("new") as loopback:
        assert asked(loopback, file, "GET") == (401, ["old"])
