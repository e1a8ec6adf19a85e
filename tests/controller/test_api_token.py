"""The token of the local API: made once, for its owner only."""

import stat

import pytest

from rollbackd.controller.api_token import ensure_token, read_token


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
