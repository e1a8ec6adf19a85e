"""The tokens of the local API: made for their owner only, kept as hashes, read anew when their files change."""

import json
import stat

import pytest

from rollbackd.controller.api.token import SHARED, TokenBook, ensure_token, hash_of, read_token
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.config.values import Api
from tests.controller.test_config import SHORTEST, read, said


def test_a_token_is_made_for_its_owner_only(tmp_path):
    token = ensure_token(tmp_path / "api.token")
    assert len(token) >= 43
    assert stat.S_IMODE((tmp_path / "api.token").stat().st_mode) == 0o600


def test_a_token_that_is_there_is_kept(tmp_path):
    (tmp_path / "api.token").write_text("from-a-secret\n")
    assert ensure_token(tmp_path / "api.token") == "from-a-secret"


def test_two_daemons_have_two_tokens(tmp_path):
    assert ensure_token(tmp_path / "one") != ensure_token(tmp_path / "two")


@pytest.mark.parametrize("text", ["", "\n", "two words", "a\nb\n", "ä", "x\x00y"])
def test_what_is_no_token_is_refused(tmp_path, text):
    (tmp_path / "api.token").write_text(text)
    with pytest.raises(ValueError, match=r"token|ascii"):
        read_token(tmp_path / "api.token")


@pytest.fixture
def people(tmp_path):
    """The daemon's own token, Ann's in a file, Bob's known by its hash."""
    (tmp_path / "api.token").write_text("the-shared-token\n")
    (tmp_path / "ann").write_text("the-token-of-ann\n")
    return {"ann": tmp_path / "ann", "bob": hash_of(b"the-token-of-bob")}


def heard(book: TokenBook, token: str) -> str | None:
    return book.speaker(f"Bearer {token}".encode())


def test_each_token_proves_its_own_name(tmp_path, people):
    book = TokenBook(tmp_path / "api.token", people)
    found = [heard(book, word) for word in ("the-shared-token", "the-token-of-ann", "the-token-of-bob", "the-token-of-eve", "")]
    assert found == [SHARED, "ann", "bob", None, None]


@pytest.mark.parametrize("header", ["the-token-of-bob", "Basic the-token-of-bob", "bearer the-token-of-bob", "Bearer  the-token-of-bob"])
def test_only_a_bearer_is_heard(tmp_path, people, header):
    assert TokenBook(tmp_path / "api.token", people).speaker(header.encode()) is None


def test_a_hash_is_no_token(tmp_path, people):
    assert heard(TokenBook(tmp_path / "api.token", people), people["bob"]) is None


def test_nothing_but_hashes_is_kept(tmp_path, people):
    book = TokenBook(tmp_path / "api.token", people)
    assert "the-token-of" not in repr(vars(book)) + repr(dict(book._tokens.hashes))


def test_a_rotated_file_holds_at_the_next_request_and_its_token_is_hidden_from_logs(tmp_path, people):
    hidden: list[str] = []
    book = TokenBook(tmp_path / "api.token", people, hidden.append)
    (tmp_path / "ann").write_text("the-newer-token-of-ann\n")
    assert [heard(book, word) for word in ("the-token-of-ann", "the-newer-token-of-ann")] == [None, "ann"]
    assert "the-newer-token-of-ann" in hidden


@pytest.mark.parametrize("text", [None, "", "two words", "the-shared-token"], ids=["gone", "empty", "no-token", "the-shared-one"])
def test_whose_file_goes_bad_may_not_speak_and_the_others_may(tmp_path, people, text):
    book = TokenBook(tmp_path / "api.token", people)
    (tmp_path / "ann").unlink() if text is None else (tmp_path / "ann").write_text(text)
    assert [heard(book, word) for word in ("the-token-of-ann", "the-token-of-bob", "the-shared-token")] == [None, "bob", SHARED]


def test_at_the_start_a_bad_file_stops_the_daemon(tmp_path, people):
    (tmp_path / "ann").write_text("the-token-of-bob\n")
    with pytest.raises(ValueError, match="it proves nobody's name"):
        TokenBook(tmp_path / "api.token", people)


# --- the config and the command that makes one ------------------------------------------------------------------------------------------------


def test_a_person_has_a_file_or_a_hash():
    known = hash_of(b"x")
    api: Api = read(f"{SHORTEST}api: {{people: {{ann: {{token_hash: '{known}'}}}}}}\n").api
    assert api.people == {"ann": known}
    assert said(f"{SHORTEST}api: {{people: {{ann: {{}}}}}}\n")[0].startswith(
        "rollbackd.yaml:5:21: config › api › people › ann: expected 'token_file' or 'token_hash', found neither"
    )
    assert "found both" in said(f"{SHORTEST}api: {{people: {{ann: {{token_file: a, token_hash: '{known}'}}}}}}\n")[0]
    assert "expected a hash as `rollbackd token` prints it" in said(f"{SHORTEST}api: {{people: {{ann: {{token_hash: the-token}}}}}}\n")[0]


def test_the_command_writes_the_token_for_its_owner_and_prints_the_hash(tmp_path, capsys):
    assert outcome(["token", "--file", str(tmp_path / "ann"), "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"token_hash": hash_of(read_token(tmp_path / "ann").encode()), "token_file": str(tmp_path / "ann")}
    assert stat.S_IMODE((tmp_path / "ann").stat().st_mode) == 0o600
    assert outcome(["token", "--file", str(tmp_path / "ann")]) == 1


def test_without_a_file_the_token_is_shown(capsys):
    assert outcome(["token", "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["token_hash"] == hash_of(document["token"].encode())
