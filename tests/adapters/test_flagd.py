"""The flagd target against real files, read back by the OpenFeature SDK's own flagd provider."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest, Standing, TargetState
from rollbackd.adapters.flagd import Flagd, FlagFile
from rollbackd.adapters.flagd.document import read_document, replace_document

DOCUMENT = """{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "flags": {
    "new-cart": {
      "state": "ENABLED",
      "variants": {"on": true, "off": false},
      "defaultVariant": "on",
      "targeting": {"if": [{"==": [{"var": "plan"}, "gold"]}, "on", "off"]},
      "metadata": {"tags": "checkout, release"}
    },
    "banner":   { "state": "ENABLED", "variants": {"blue": "b", "red": "r"}, "defaultVariant": "red", "metadata": {"tag": "checkout"} },
    "grüße": {"state": "ENABLED", "variants": {"on": 1.10, "off": 0e0}, "defaultVariant": "on"}
  }
}
"""
SHOP = "flagd:shop/all"


SHARING = """{
  "$evaluators": {
    "staff": {"in": ["@shop.example", {"var": ["email"]}]},
    "beta": {"or": [{"$ref": "staff"}, {"==": [{"var": "plan"}, "beta"]}]},
    "self": {"!": [{"$ref": "self"}]}
  },
  "flags": {
    "cart": {
      "state": "ENABLED",
      "variants": {"on": true, "off": false},
      "defaultVariant": "off",
      "targeting": {"if": [{"and": [{"$ref": "beta"}, {"$ref": "self"}, {"$ref": "none"}]}, "on", "off"]}
    },
    "banner": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"}
  }
}
"""


@pytest.fixture
def sharing(tmp_path: Path) -> Path:
    """A file whose flag ``cart`` refers to rules that are shared."""
    path = tmp_path / "sharing.json"
    path.write_text(SHARING)
    return path


def share(file: Path, **rules: Any) -> None:
    document = json.loads(file.read_text())
    document["$evaluators"].update(rules)
    file.write_text(json.dumps(document, indent=2))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flags.json"
    path.write_text(DOCUMENT)
    return path


def shop(file: Path, **options: Any) -> Flagd:
    return Flagd({"shop": FlagFile("shop", file, **options)})


def seen(target: Flagd, key: str = SHOP) -> TargetState:
    state = target.survey([key])[key]
    assert isinstance(state, TargetState)
    return state


def error(target: Flagd, key: str = SHOP) -> AdapterError:
    state = target.survey([key])[key]
    assert isinstance(state, AdapterError)
    return state


def planned(target: Flagd, key: str = SHOP, **request: Any) -> Plan:
    plan = target.plan(PlanRequest(key, "inc-1", seen(target, key).revision, **request))
    assert isinstance(plan, Plan)
    return plan


def flags(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())["flags"]  # type: ignore[no-any-return]


def edit(file: Path, name: str, **fields: Any) -> None:
    document = json.loads(file.read_text())
    document["flags"][name].update(fields)
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False))


def write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"flags": content}))
    return path


# What is seen


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        pytest.param("all", {"new-cart", "banner", "grüße"}, id="all"),
        pytest.param("tag:checkout", {"new-cart", "banner"}, id="tag-in-a-comma-string-or-alone"),
        pytest.param("tag:release", {"new-cart"}, id="tag-after-a-space"),
        pytest.param("flags:banner,grüße", {"banner", "grüße"}, id="listed"),
    ],
)
def test_a_scope_sees_its_flags_with_their_full_state(file: Path, scope: str, names: set[str]) -> None:
    assert seen(shop(file), f"flagd:shop/{scope}").parts == {name: state for name, state in flags(file).items() if name in names}


def test_tags_may_be_a_list(tmp_path: Path) -> None:
    file = write(tmp_path / "f.json", {"a": {"variants": {"off": False}, "metadata": {"tags": ["x", "y"]}}})
    assert set(seen(shop(file), "flagd:shop/tag:y").parts) == {"a"}


def test_the_revision_follows_the_meaning_and_not_the_layout(file: Path) -> None:
    revision = seen(shop(file)).revision
    file.write_text(json.dumps(json.loads(DOCUMENT)))
    assert seen(shop(file)).revision == revision
    edit(file, "banner", defaultVariant="blue")
    assert seen(shop(file)).revision != revision


@pytest.mark.parametrize("rule", ["beta", "staff"])
def test_a_shared_rule_is_part_of_the_flags_that_refer_to_it_and_of_no_other(sharing: Path, rule: str) -> None:
    target = shop(sharing)
    cart, banner = (seen(target, f"flagd:shop/flags:{name}").revision for name in ("cart", "banner"))
    share(sharing, **{rule: {"!=": [1, 2]}})
    assert seen(target, "flagd:shop/flags:cart").revision != cart
    assert seen(target, "flagd:shop/flags:banner").revision == banner


def test_a_flag_that_refers_to_a_shared_rule_goes_off_and_comes_back_exactly(sharing: Path) -> None:
    target, key = shop(sharing), "flagd:shop/flags:cart"
    plan = planned(target, key)
    target.apply(plan)
    assert (flags(sharing)["cart"]["targeting"], target.look(plan.intent).standing) == ({}, Standing.THERE)
    back = planned(target, key, undo=plan.intent)
    target.apply(back)
    assert json.loads(sharing.read_text()) == json.loads(SHARING)
    assert target.look(back.intent).standing is Standing.THERE


def test_a_shared_rule_that_changed_is_not_ours_to_put_back(sharing: Path) -> None:
    target, key = shop(sharing), "flagd:shop/flags:cart"
    plan = planned(target, key)
    target.apply(plan)
    share(sharing, staff={"!=": [1, 2]})
    before = sharing.read_text()
    back = planned(target, key, undo=plan.intent)
    with pytest.raises(Refused, match="a shared rule in the targeting of flag 'cart' changed too") as refused:
        target.apply(back)
    assert "$evaluators" in refused.value.advice
    assert sharing.read_text() == before


def test_a_change_outside_the_scope_leaves_the_revision(file: Path) -> None:
    revision = seen(shop(file), "flagd:shop/tag:checkout").revision
    edit(file, "grüße", defaultVariant="off")
    assert seen(shop(file), "flagd:shop/tag:checkout").revision == revision


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        pytest.param(DOCUMENT[:200], Transient, "no complete flagd JSON", id="cut"),
        pytest.param("", Transient, "no complete flagd JSON", id="empty"),
        pytest.param("<html>", Transient, "no complete flagd JSON", id="html"),
        pytest.param("[1]", Transient, "no 'flags' object", id="list"),
        pytest.param('{"flags": {}, "$evaluators": [1]}', Transient, "'$evaluators' are no object", id="rules-are-a-list"),
        pytest.param('{"flags": []}', Transient, "no 'flags' object", id="flags-is-a-list"),
        pytest.param('{"flags": {"a": {"state": "ENABLED"}}}', Transient, "'a' has no variants", id="no-variants"),
        pytest.param('{"flags": {"a": {"variants": {}}, "a": {"variants": {}}}}', Transient, "'a' twice", id="repeated-flag"),
        pytest.param('{"flags": {"a": {"variants": {"off": NaN}}}}', Transient, "NaN", id="nan"),
        pytest.param('{"flags": {}} {}', Transient, "text follows", id="two-documents"),
        pytest.param("[" * 100_000, Transient, "no complete flagd JSON", id="too-deep"),
        pytest.param(" " * (8 * 1024 * 1024 + 1), Permanent, "larger than", id="too-large"),
    ],
)
def test_a_file_that_is_no_flag_file_is_an_error_and_never_an_empty_scope(file: Path, content: str, kind: type[AdapterError], says: str) -> None:
    file.write_text(content)
    assert type(error(shop(file))) is kind
    assert says in str(error(shop(file)))


def test_a_missing_file_is_transient(file: Path) -> None:
    file.unlink()
    assert isinstance(error(shop(file)), Transient)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        pytest.param("flagd:shop/flags:new-cart,gone", Refused, id="unknown-flag"),
        pytest.param("flagd:shop/tag:nobody", Refused, id="empty-tag"),
        pytest.param("flagd:shop/flags:", Permanent, id="empty-list"),
        pytest.param("flagd:shop/tag:", Permanent, id="no-tag"),
        pytest.param("flagd:shop/*", Permanent, id="wildcard"),
        pytest.param("flagd:shop", Permanent, id="no-scope"),
        pytest.param("flagd:other/all", Permanent, id="unknown-provider"),
        pytest.param("unleash:shop/all", Permanent, id="another-kind"),
    ],
)
def test_a_scope_that_names_nothing_is_an_error_and_never_everything(file: Path, key: str, kind: type[AdapterError]) -> None:
    assert type(error(shop(file), key)) is kind
    with pytest.raises(kind):
        shop(file).plan(PlanRequest(key, "inc-1", "any"))
    assert file.read_text() == DOCUMENT


# What is planned


def test_a_flag_goes_to_its_variant_off_with_targeting_cleared_and_stays_enabled(file: Path) -> None:
    plan = planned(shop(file), only=("new-cart",))
    after = plan.intent.record["after"]
    assert after == {"new-cart": {**flags(file)["new-cart"], "state": "ENABLED", "defaultVariant": "off", "targeting": {}}}
    assert plan.intent.record["before"] == {"new-cart": flags(file)["new-cart"]}
    assert plan.steps == (
        'flags.new-cart.defaultVariant: "on" -> "off"',
        'flags.new-cart.targeting: {"if": [{"==": [{"var": "plan"}, "gold"]}, "on", "off"]} -> {}',
    )
    assert plan.command == f"edit {file}: {'; '.join(plan.steps)}"


def test_the_declared_safe_state_comes_before_the_variant_off(file: Path) -> None:
    plan = planned(shop(file, safe_states={"new-cart": "on"}), only=("new-cart",))
    assert plan.steps == ('flags.new-cart.targeting: {"if": [{"==": [{"var": "plan"}, "gold"]}, "on", "off"]} -> {}',)


def test_a_disabled_flag_is_enabled_at_its_safe_state(file: Path) -> None:
    edit(file, "new-cart", state="DISABLED")
    assert 'flags.new-cart.state: "DISABLED" -> "ENABLED"' in planned(shop(file), only=("new-cart",)).steps


def test_a_flag_without_off_goes_back_to_exactly_its_state_before_the_change(file: Path) -> None:
    before = {"state": "DISABLED", "variants": {"blue": "b", "red": "r"}, "defaultVariant": "blue"}
    plan = planned(shop(file), only=("banner",), before={"banner": before})
    assert plan.intent.record["after"] == {"banner": before}


def test_a_flag_without_any_safe_state_is_refused_by_name(file: Path) -> None:
    with pytest.raises(Refused, match="'banner' has no declared safe state") as refused:
        planned(shop(file))
    assert "safe_states: {banner: VARIANT}" in refused.value.advice


def test_a_declared_safe_state_that_the_flag_does_not_have_is_refused(file: Path) -> None:
    with pytest.raises(Refused, match="no variant 'green'"):
        planned(shop(file, safe_states={"banner": "green"}), only=("banner",))


@pytest.mark.parametrize(
    ("only", "says"),
    [pytest.param((), "touched no flag", id="nothing"), pytest.param(("gone",), "'gone' is not in", id="a-flag-that-is-gone")],
)
def test_a_change_that_names_no_live_flag_is_refused(file: Path, only: tuple[str, ...], says: str) -> None:
    with pytest.raises(Refused, match=says):
        planned(shop(file), only=only)


def test_more_flags_than_the_cap_are_refused_with_both_counts(tmp_path: Path) -> None:
    on = {"state": "ENABLED", "variants": {"on": 1, "off": 0}, "defaultVariant": "on"}
    file = write(tmp_path / "f.json", {f"f{i}": on for i in range(21)})
    with pytest.raises(Refused, match="21 flags would change, at most 20 may"):
        planned(shop(file))
    assert len(planned(shop(file), only=tuple(f"f{i}" for i in range(20))).steps) == 20


def test_flags_at_their_safe_state_leave_nothing_to_do(tmp_path: Path) -> None:
    file = write(tmp_path / "f.json", {"a": {"state": "ENABLED", "variants": {"off": 0}, "defaultVariant": "off"}})
    target = shop(file)
    assert isinstance(target.plan(PlanRequest(SHOP, "inc-1", seen(target).revision)), NothingToDo)


def test_the_plan_carries_the_providers_settle_and_says_what_stays(file: Path) -> None:
    plan = planned(shop(file, settle=timedelta(seconds=7)), only=("new-cart",))
    assert plan.settle == timedelta(seconds=7)
    assert plan.not_undone == ("flags 'banner', 'grüße' in scope stay as they are",)


# What is written


def test_a_write_touches_no_other_byte_of_the_file(file: Path) -> None:
    target = shop(file)
    target.apply(planned(target, only=("new-cart",)))
    head, tail = DOCUMENT.partition('    "new-cart": ')[0], DOCUMENT[DOCUMENT.index('    "banner"') :]
    written = file.read_text()
    assert written.startswith(head)
    assert written.endswith(tail)
    assert '      "defaultVariant": "off",\n      "targeting": {},\n' in written


@pytest.mark.parametrize("layout", [None, 2, "\t"], ids=["one-line", "two-spaces", "tabs"])
def test_the_indentation_of_the_file_is_kept(file: Path, layout: int | str | None) -> None:
    file.write_text(json.dumps(json.loads(DOCUMENT), indent=layout, ensure_ascii=False))
    target = shop(file)
    target.apply(planned(target, only=("new-cart", "grüße")))
    assert file.read_text() == json.dumps(json.loads(file.read_text()), indent=layout, ensure_ascii=False)
    assert flags(file)["grüße"]["defaultVariant"] == "off"


def test_line_ends_of_windows_are_kept(file: Path) -> None:
    file.write_bytes(DOCUMENT.replace("\n", "\r\n").encode())
    target = shop(file)
    target.apply(planned(target, only=("new-cart",)))
    assert file.read_bytes().count(b"\n") == file.read_bytes().count(b"\r\n")


def test_a_lone_surrogate_is_written_back_as_its_escape(tmp_path: Path) -> None:
    file = tmp_path / "f.json"
    file.write_text('{"flags": {"ü": {"variants": {"on": "\\ud800", "off": ""}, "defaultVariant": "on"}}}')
    target = shop(file)
    target.apply(planned(target))
    assert flags(file)["ü"]["variants"]["on"] == "\ud800"


def test_mode_and_owner_are_kept(file: Path) -> None:
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 1234, 1235)
    old = file.stat()
    target = shop(file)
    target.apply(planned(target, only=("new-cart",)))
    new = file.stat()
    assert (new.st_mode, new.st_uid, new.st_gid) == (old.st_mode, old.st_uid, old.st_gid)


def test_the_modification_time_grows_even_if_the_old_one_lies_ahead(file: Path) -> None:
    ahead = time.time() + 3600
    os.utime(file, (ahead, ahead))
    target = shop(file)
    target.apply(planned(target, only=("new-cart",)))
    assert file.stat().st_mtime > ahead


def test_a_link_is_written_through_to_the_real_file(file: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "flags.json"
    link.symlink_to(file)
    target = shop(link)
    target.apply(planned(target, only=("new-cart",)))
    assert link.is_symlink()
    assert flags(file)["new-cart"]["defaultVariant"] == "off"


def test_a_configmap_mount_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "..2026_01").mkdir()
    (tmp_path / "..2026_01" / "flags.json").write_text(DOCUMENT)
    (tmp_path / "..data").symlink_to("..2026_01")
    (tmp_path / "flags.json").symlink_to("..data/flags.json")
    target = shop(tmp_path / "flags.json")
    with pytest.raises(Permanent, match="change its source instead"):
        target.apply(planned(target, only=("new-cart",)))
    assert "kubelet" in "".join(target.check([SHOP]))


def test_a_flag_that_a_human_flipped_meanwhile_is_left_alone_and_named(file: Path) -> None:
    target = shop(file)
    plan = planned(target, only=("new-cart",))
    edit(file, "new-cart", defaultVariant="off")
    content = file.read_text()
    with pytest.raises(Refused, match="'new-cart'"):
        target.apply(plan)
    assert file.read_text() == content
    sight = target.look(plan.intent)
    assert sight.standing is Standing.ELSEWHERE
    assert "'new-cart'" in sight.reason


def test_a_flag_that_was_deleted_meanwhile_is_elsewhere(file: Path) -> None:
    target = shop(file)
    plan = planned(target, only=("new-cart",))
    write(file, {"banner": flags(file)["banner"]})
    with pytest.raises(Refused):
        target.apply(plan)
    assert target.look(plan.intent).standing is Standing.ELSEWHERE


def test_a_change_of_another_flag_meanwhile_survives_the_write(file: Path) -> None:
    target = shop(file)
    plan = planned(target, only=("new-cart",))
    edit(file, "banner", defaultVariant="blue")
    target.apply(plan)
    assert flags(file)["banner"]["defaultVariant"] == "blue"
    assert target.look(plan.intent).standing is Standing.THERE


def test_a_file_that_changes_during_the_replacement_is_left_alone(file: Path) -> None:
    document = read_document(file)
    edit(file, "banner", defaultVariant="blue")
    content = file.read_text()
    with pytest.raises(Refused, match="changed while it was being replaced"):
        replace_document(document, "{}")
    assert file.read_text() == content
    assert [path.name for path in file.parent.iterdir()] == ["flags.json"]


def test_two_writes_at_the_same_time_both_survive(tmp_path: Path) -> None:
    on = {"state": "ENABLED", "variants": {"on": 1, "off": 0}, "defaultVariant": "on"}
    file = write(tmp_path / "f.json", {f"f{i}": on for i in range(8)})
    target = shop(file)
    plans = [planned(target, f"flagd:shop/flags:f{i}") for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(target.apply, plans))
    assert {flag["defaultVariant"] for flag in flags(file).values()} == {"off"}


def test_the_recorded_states_restore_the_flags_exactly(file: Path) -> None:
    target = shop(file)
    plan = planned(target, only=("new-cart", "grüße"))
    target.apply(plan)
    undo = Intent(
        SHOP,
        "inc-1",
        plan.intent.to_revision,
        plan.intent.from_revision,
        {"before": plan.intent.record["after"], "after": plan.intent.record["before"]},
    )
    target.apply(Plan(undo, "restore"))
    assert flags(file) == json.loads(DOCUMENT)["flags"]


FULL_DISK = """
import resource, sys
from pathlib import Path
from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.target import PlanRequest
from rollbackd.adapters.flagd import Flagd, FlagFile
from rollbackd.adapters.flagd.document import read_document, replace_document
target = Flagd({"shop": FlagFile("shop", Path(sys.argv[1]))})
plan = target.plan(PlanRequest("flagd:shop/all", "inc-1", target.survey(["flagd:shop/all"])["flagd:shop/all"].revision, only=("new-cart",)))
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
try:
    target.apply(plan)
except Permanent as error:
    print("nothing was changed" in str(error))
"""


def test_a_full_disk_changes_nothing_and_leaves_nothing_behind(file: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(file)], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "True\n"
    assert [path.name for path in file.parent.iterdir()] == ["flags.json"]
    assert file.read_text() == DOCUMENT


def test_nothing_but_the_flag_file_remains_after_a_write(file: Path) -> None:
    target = shop(file)
    target.apply(planned(target, only=("new-cart",)))
    assert [path.name for path in file.parent.iterdir()] == ["flags.json"]


def test_an_intent_without_flag_states_is_permanent(file: Path) -> None:
    with pytest.raises(Permanent, match="holds no flag states"):
        shop(file).look(Intent(SHOP, "inc-1", "a", "b"))


# What check finds


def test_check_is_silent_where_nothing_would_stop_us(file: Path) -> None:
    assert shop(file).check([SHOP, "flagd:shop/tag:checkout"]) == ()


def test_check_names_a_wrong_safe_state_and_a_scope_beyond_the_cap(file: Path) -> None:
    found = shop(file, safe_states={"banner": "green"}, max_flags=2).check([SHOP])
    assert [("3 flags in scope, at most 2" in line, "'green'" in line) for line in found] == [(True, False), (False, True)]


def test_check_names_each_key_that_cannot_be_read(file: Path) -> None:
    found = shop(file).check(["flagd:shop/tag:nobody", "flagd:other/all"])
    assert [line.split(": ")[0] for line in found] == ["flagd:shop/tag:nobody", "flagd:other/all"]


# What readers see


@pytest.fixture
def reader(file: Path) -> Iterator[Callable[[str], bool]]:
    """An application's view of the file: the OpenFeature SDK with the flagd provider in file mode."""
    from openfeature import api
    from openfeature.contrib.provider.flagd import FlagdProvider
    from openfeature.contrib.provider.flagd.config import ResolverType
    from openfeature.evaluation_context import EvaluationContext

    provider = FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(file), deadline_ms=50)
    api.set_provider(provider, "test-flagd")
    client = api.get_client("test-flagd")
    # The code default is True: a flag that merely went missing or DISABLED would stay on.
    yield lambda name: client.get_boolean_value(name, True, EvaluationContext(attributes={"plan": "gold"}))
    provider.shutdown()
    api.clear_providers()


def becomes(read: Callable[[], bool], wanted: bool) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if read() is wanted:
            return True
        time.sleep(0.01)
    return False


def test_an_sdk_reading_the_file_sees_the_flag_off_and_on_again_after_the_restore(file: Path, reader: Callable[[str], bool]) -> None:
    assert becomes(lambda: reader("new-cart"), True)
    target = shop(file)
    plan = planned(target, only=("new-cart",))
    target.apply(plan)
    assert becomes(lambda: reader("new-cart"), False)
    undo = Intent(
        SHOP,
        "inc-1",
        plan.intent.to_revision,
        plan.intent.from_revision,
        {"before": plan.intent.record["after"], "after": plan.intent.record["before"]},
    )
    target.apply(Plan(undo, "restore"))
    assert becomes(lambda: reader("new-cart"), True)
