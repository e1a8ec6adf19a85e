"""The traps that every hosted flag service sets: secrets, limits, people, approvals, pages, slow propagation, lost answers."""

import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.target import PlanRequest, Standing
from tests.adapters.flag_stands import STANDS, Stand
from tests.doubles.flags.vendor import Reply


@pytest.fixture(params=STANDS)
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    with STANDS[request.param](tmp_path) as made:
        yield made


# Secrets


def test_a_token_that_is_unknown_is_final_and_stands_in_no_message(stand: Stand) -> None:
    stand.token.write_text("user:wrong-secret")
    error = stand.error()
    assert type(error) is Permanent
    assert str(stand.token) in str(error)
    assert "wrong-secret" not in "".join(traceback.format_exception(error))


def test_a_token_that_was_rotated_is_read_without_a_restart(stand: Stand) -> None:
    target = stand.target()
    stand.token.write_text("user:wrong-secret")
    assert isinstance(target.survey([stand.key])[stand.key], Permanent)
    stand.token.write_text(f"{stand.secret}\n")
    assert stand.seen(target=target)


@pytest.mark.parametrize("content", [None, "", "two words", "grün"])
def test_a_token_file_without_a_token_asks_nobody(stand: Stand, content: str | None) -> None:
    stand.token.unlink() if content is None else stand.token.write_text(content)
    assert type(stand.error()) is Permanent
    assert stand.vendor.calls == []


def test_a_token_without_the_right_to_write_changes_nothing(stand: Stand) -> None:
    plan = stand.planned()
    stand.forbid()
    with pytest.raises(Permanent, match=r"403.*the right"):
        stand.target().apply(plan)
    assert stand.target().look(plan.intent).standing is Standing.BEFORE


def test_no_secret_stands_in_a_target_or_a_plan(stand: Stand) -> None:
    target, plan = stand.target(), stand.planned()
    texts = [repr(target), repr(plan), str(plan.intent.record), plan.command, *plan.steps, *target.check([stand.key])]
    assert not any(secret in text for text in texts for secret in (stand.secret, "sdk-secret", "sdk-abc123", "sdk/key", "api-pass"))


# Weather


def test_a_rate_limit_is_transient_with_the_wait_that_is_asked_for(stand: Stand) -> None:
    stand.vendor.weather = [stand.limited]
    error = stand.error()
    assert isinstance(error, Transient)
    assert error.retry_after == 7.0


def test_a_rate_limit_in_the_middle_of_a_write_stops_it_and_the_look_tells(stand: Stand) -> None:
    plan = stand.planned()
    writes = 0

    def limit_the_second() -> None:
        nonlocal writes
        writes += 1
        if writes == 2:
            stand.vendor.next_write = stand.limited

    stand.vendor.before_write = [limit_the_second] * 2
    with pytest.raises(Transient, match="flag 'cart' written, flag 'search' not") as raised:
        stand.target().apply(plan)
    assert raised.value.retry_after == 7.0
    assert stand.target().look(plan.intent).standing is Standing.UNDERWAY
    assert (stand.is_on("cart"), stand.is_on("search")) == (False, True)


def test_a_rate_limit_that_is_over_at_once_delays_the_write_and_no_more(stand: Stand) -> None:
    plan = stand.planned()
    stand.vendor.next_write = replace(stand.limited, headers={**stand.limited.headers, "Retry-After": "0"})
    stand.target().apply(plan)
    assert (stand.is_on("cart"), stand.is_on("search"), len(stand.vendor.writes)) == (False, False, 3)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(Reply(503), Transient, id="503"),
        pytest.param(Reply(200, b"<html>Sign in</html>"), Transient, id="login-page"),
        pytest.param(Reply(200, b'{"unknown": "shape"}'), Transient, id="unknown-shape"),
        pytest.param(Reply(200, b"[1]"), Transient, id="another-shape"),
        pytest.param(Reply(200, b'{"it', promise=500), Transient, id="cut"),
        pytest.param(Reply(302, headers={"Location": "http://127.0.0.1:1/"}), Permanent, id="redirect"),
    ],
)
def test_an_answer_that_is_none_is_an_error_and_never_an_empty_scope(stand: Stand, reply: Reply, kind: type[Exception]) -> None:
    stand.vendor.weather = [reply] * 9
    with pytest.raises(kind):
        stand.target().plan(PlanRequest(stand.key, "inc-1", "any"))


def test_a_lost_answer_is_transient_and_the_look_says_that_it_was_written(stand: Stand) -> None:
    key = f"{stand.kind}:shop/production/flags:cart"
    plan = stand.planned(key)
    stand.vendor.cut_writes = 1
    with pytest.raises(Transient, match="unknown whether it was written"):
        stand.target().apply(plan)
    assert stand.target().look(plan.intent).standing is Standing.THERE
    assert len(stand.vendor.writes) == 1


# People


def test_a_flag_that_a_person_flips_between_our_reads_stops_the_whole_write(stand: Stand) -> None:
    plan = stand.planned()
    stand.flip("search", False)
    with pytest.raises(Refused, match="'search'"):
        stand.target().apply(plan)
    assert stand.is_on("cart")
    assert stand.vendor.writes == []


@pytest.mark.parametrize("stand", ["launchdarkly", "flagsmith", "growthbook"], indirect=True)
def test_approval_that_is_required_is_refused_with_what_to_do(stand: Stand) -> None:
    plan = stand.planned()
    stand.want_approval()
    with pytest.raises(Refused, match=r"approval|change request|review") as raised:
        stand.target().apply(plan)
    assert raised.value.advice
    assert (stand.is_on("cart"), stand.is_on("search")) == (True, True)
    assert stand.target().look(plan.intent).standing is Standing.BEFORE


# Scopes


@pytest.mark.parametrize("scope", ["flags:cart,gone", "tag:nobody"])
def test_a_scope_with_an_unknown_flag_or_tag_is_refused(stand: Stand, scope: str) -> None:
    key = f"{stand.kind}:shop/production/{scope}"
    assert isinstance(stand.error(key), Refused)
    assert len(stand.target().check([key])) == 1


def test_an_environment_that_is_not_there_is_final_and_no_missing_flag(stand: Stand) -> None:
    for scope in ("all", "flags:cart", "tag:checkout"):
        error = stand.error(f"{stand.kind}:shop/moon/{scope}")
        assert type(error) is Permanent, scope


def test_every_page_is_read(stand: Stand) -> None:
    for number in range(105):
        stand.add(f"many-{number:03}")
    assert len(stand.seen(f"{stand.kind}:shop/production/tag:many").parts) == 105
    assert len(stand.seen(f"{stand.kind}:shop/production/all").parts) == 108


@pytest.mark.parametrize("stand", ["launchdarkly", "flagsmith", "growthbook"], indirect=True)
def test_an_archived_flag_is_none(stand: Stand) -> None:
    stand.archive("search")
    assert set(stand.seen().parts) == {"cart"}
    assert isinstance(stand.error(f"{stand.kind}:shop/production/flags:search"), Refused)


def test_another_environment_is_not_touched(stand: Stand) -> None:
    before = stand.seen(f"{stand.kind}:shop/staging/all").revision
    stand.target().apply(stand.planned())
    assert stand.seen(f"{stand.kind}:shop/staging/all").revision == before


# What applications are served


def test_a_write_is_under_way_until_applications_are_served_it(stand: Stand) -> None:
    target, plan = stand.target(), stand.planned()
    stand.vendor.lagging = True
    target.apply(plan)
    sight = target.look(plan.intent)
    assert (sight.standing, "not yet served" in sight.reason) == (Standing.UNDERWAY, True)
    stand.vendor.propagate()
    assert target.look(plan.intent).standing is Standing.THERE


def test_without_a_key_for_it_a_write_counts_once_it_is_kept(stand: Stand) -> None:
    target = stand.target(verified=False)
    plan = stand.planned(target=target)
    stand.vendor.lagging = True
    target.apply(plan)
    assert target.look(plan.intent).standing is Standing.THERE


def test_a_check_of_a_sound_place_finds_nothing_and_writes_nothing(stand: Stand) -> None:
    assert stand.target().check([stand.key]) == ()
    assert stand.vendor.writes == []


def test_a_place_that_applications_cannot_be_seen_from_is_found_by_the_check_and_fails_no_write(stand: Stand) -> None:
    plan = stand.planned()
    if stand.kind == "flagsmith":
        stand.vendor.hidden_from_sdks = True
    else:
        stand.vendor_keys().clear()
    (line,) = stand.target().check([stand.key])
    assert "HTTP 4" in line
    stand.target().apply(plan)
    assert stand.target().look(plan.intent).standing is Standing.THERE


def test_a_key_of_another_environment_is_found_by_the_check(stand: Stand) -> None:
    stand.vendor.lagging = True  # applications are served something else than what is kept
    stand.flip("cart", False)
    (line,) = stand.target().check([stand.key])
    assert "not served flag 'cart' as kept" in line


def test_a_safe_state_that_the_flag_cannot_have_is_refused_and_found_by_the_check(stand: Stand) -> None:
    target = stand.target({"cart": "purple"})
    with pytest.raises(Refused, match="purple"):
        target.plan(stand.asked())
    assert any("purple" in line for line in target.check([stand.key]))


def test_the_plan_says_what_it_writes_and_what_a_person_would_do(stand: Stand) -> None:
    plan = stand.planned()
    assert any("flags.cart." in step for step in plan.steps)
    assert "cart" in plan.command
    assert "search" in plan.command
