"""What the documentation shows is what the program takes: policies, configs, commands, links, code."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.webhook import Webhook
from rollbackd.controller.cli.main import cli
from rollbackd.controller.config.documents import ConfigDocument, PrometheusParts, ScrapeParts
from rollbackd.controller.config.flag_vendors import KINDS as ALL_FLAG_KINDS
from rollbackd.controller.config.flags import KINDS as FLAG_KINDS
from rollbackd.controller.config.load import Config, load_config
from rollbackd.controller.policytest.documents import PolicyTestDocument
from rollbackd.controller.policytest.load import load_tests
from rollbackd.controller.policytest.run import run
from rollbackd.policies.documents.schema import json_schema
from rollbackd.policies.load import load_policies
from rollbackd.policies.text.faults import Fault
from tests.exposition import Reply, serving

HOUSE = Path(__file__).parents[2]
PAGES = (HOUSE / "README.md", *sorted((HOUSE / "docs").rglob("*.md")))
FOREIGN = ("Role",)
"""Kinds of documents that other programs read."""
VALUES = "# values.yaml\n"
TESTS = "testing-policies.md"
"""The page whose examples of policies and their tests are run."""
FILES = ("policies.d/checkout.yaml", "tests/checkout.yaml", "policies.d/search.yaml", "tests/sides.yaml")
"""Where they stand, in the order of the page."""
SCAFFOLD: dict[str, Any] = {
    "apiVersion": "rollbackd/v1",
    "kind": "RollbackPolicy",
    "metadata": {"name": "example"},
    "spec": {
        "target": {"kubernetes": {"namespace": "shop", "deployment": "checkout"}},
        "match": {"app": "checkout"},
        "rollback_when": [{"use": "error-rate"}],
    },
}
"""A policy around what is shown of one."""
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOTICE = Notice("msg-1", "inc-1", "held", "ROLLBACK NEEDS YOU", ("why",), "page", False, NOW)
_BLOCK = re.compile(r"(?:^<!-- refused: (?P<refused>[^\n]*) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. ``refused``: the message that it must fail with."""

    place: str
    language: str
    text: str
    refused: str | None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(f"{page.relative_to(HOUSE)}:{text.count(chr(10), 0, match.start()) + 1}", match["language"], match["text"], match["refused"])
        for match in _BLOCK.finditer(text)
    ]


def commands_of(page: Path) -> list[tuple[str, str]]:
    """Every line of code that begins with the command, with its place."""
    found, is_fenced = [], False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        is_fenced ^= line.startswith("```")
        if (is_fenced or line.startswith("    ")) and line.lstrip().startswith("rollbackd "):
            found.append((f"{page.relative_to(HOUSE)}:{number}", line.strip()))
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
YAML = [pytest.param(block, id=block.place) for block in BLOCKS if block.language == "yaml"]
COMMANDS = [pytest.param(line, id=place) for page in PAGES for place, line in commands_of(page)]


def faults_of(text: str) -> tuple[Fault, ...]:
    """What the program says of a block: a whole document, entries of ``rollback_when``, or a part of ``spec``. Values of the chart: tests/helm."""
    if text.startswith(VALUES):
        return ()
    shown = yaml.safe_load(text)
    kind = shown.get("kind") if isinstance(shown, dict) else None
    if kind in (*FOREIGN, "PolicyTest"):
        return ()
    if kind == "Config":
        read = load_config(text, "example.yaml", Path("/etc/rollbackd"))
        return () if isinstance(read, Config) else read
    return load_policies({"example.yaml": text if kind else _around(shown)}).faults


def _around(shown: object) -> str:
    part = {"rollback_when": shown} if isinstance(shown, list) else shown
    assert isinstance(part, dict)
    return yaml.safe_dump({**SCAFFOLD, "spec": {**SCAFFOLD["spec"], **part}})


@pytest.mark.parametrize("block", YAML)
def test_an_example_loads_or_is_refused_in_the_words_that_are_shown(block: Block) -> None:
    assert [fault.message for fault in faults_of(block.text)] == ([block.refused] if block.refused else [])


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_that_is_shown_exists_with_its_options(line: str) -> None:
    words = line.split("  ", maxsplit=1)[0].partition(" #")[0].split()[1:]
    command: click.Command | None = cli
    while words and isinstance(command, click.Group):
        name, *words = words
        command = command.commands.get(name)
        assert command is not None, f"there is no command {name}"
    assert command is not None
    context = click.Context(command)
    known = {option for parameter in command.get_params(context) for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    assert [link for link in _LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()] == []


def test_the_policy_page_names_every_key_of_a_policy() -> None:
    assert keys_of(json_schema()) - words_of("policy.md") == set()


def test_the_testing_page_names_every_key_of_a_policy_test() -> None:
    assert keys_of(PolicyTestDocument.model_json_schema(by_alias=True)) - words_of(TESTS) == set()


def shown_tests() -> list[str]:
    """Policies and tests as the page shows them."""
    return [block.text for block in blocks_of(HOUSE / "docs" / TESTS) if block.language == "yaml"]


def lay_out(folder: Path, files: Mapping[str, str]) -> None:
    """The files are below ``folder``."""
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def test_the_policy_tests_that_are_shown_pass(tmp_path: Path) -> None:
    lay_out(tmp_path, dict(zip(FILES, shown_tests(), strict=True)))
    loaded = load_tests([tmp_path / "tests"])
    assert [str(fault) for fault in (*loaded.faults, *loaded.warnings)] == []
    assert [str(mismatch) for case in loaded.cases for mismatch in run(case).mismatches] == []
    assert len(loaded.cases) == 5


def test_the_failure_that_is_shown_is_what_it_prints(tmp_path: Path) -> None:
    policy, tests, *_ = shown_tests()
    lay_out(tmp_path, {FILES[0]: policy, FILES[1]: tests.replace("at: 7m\n        decision", "at: 6m45s\n        decision")})
    printed = CliRunner().invoke(cli, ["test", str(tmp_path / "tests")]).output.replace(f"{tmp_path}/", "")
    (shown,) = (block.text for block in blocks_of(HOUSE / "docs" / TESTS) if block.language == "text" and "FAIL" in block.text)
    assert shown in printed


def test_the_look_that_is_shown_is_one_of_the_timeline(tmp_path: Path) -> None:
    lay_out(tmp_path, dict(zip(FILES, shown_tests(), strict=True)))
    printed = CliRunner().invoke(cli, ["test", str(tmp_path / "tests" / "sides.yaml"), "--timeline"]).output
    (shown,) = (block.text for block in blocks_of(HOUSE / "docs" / TESTS) if block.language == "text" and "beside" in block.text)
    assert shown.strip() in printed


def test_the_pages_for_operators_name_every_key_of_the_config() -> None:
    models = (ConfigDocument, PrometheusParts, ScrapeParts, *(kind.document for kind in FLAG_KINDS.values()))
    named = set().union(*(words_of(page) for page in ("operating.md", "notifying.md", "aws/README.md")))
    assert set().union(*(keys_of(model.model_json_schema(by_alias=True)) for model in models)) - named == set()


def test_the_page_of_hosted_flags_names_every_key_of_their_config() -> None:
    models = [kind.document for name, kind in ALL_FLAG_KINDS.items() if name not in (*FLAG_KINDS, "appconfig")]
    assert set().union(*(keys_of(model.model_json_schema(by_alias=True)) for model in models)) - words_of("flags-hosted.md") == set()
    assert keys_of(ALL_FLAG_KINDS["appconfig"].document.model_json_schema(by_alias=True)) - words_of("aws/appconfig.md") == set()


def keys_of(schema: object) -> set[str]:
    """Every property that a JSON Schema names, at any depth."""
    if isinstance(schema, list):
        return set().union(*(keys_of(item) for item in schema))
    if not isinstance(schema, dict):
        return set()
    own = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return own.union(*(keys_of(value) for value in schema.values()))


def words_of(page: str) -> set[str]:
    return set(re.findall(r"\w+", (HOUSE / "docs" / page).read_text(encoding="utf-8")))


def shown_function(name: str) -> Any:
    """The function of this name, out of the Python that the pages show."""
    (block,) = (block for block in BLOCKS if block.language == "python" and f"def {name}(" in block.text)
    module: dict[str, Any] = {}
    exec(block.text, module)
    return module[name]


@pytest.mark.parametrize("secret", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a plain secret"])
def test_the_check_of_a_signature_that_is_shown_accepts_a_message_of_ours_and_no_other(secret: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{secret}\nthe next one\n")
    with serving(Reply(status=204)) as receiver:
        Webhook("oncall", url=receiver.url, now=lambda: NOW, secret_file=file).send(NOTICE)
        (request,) = receiver.asked
    is_signed, at = shown_function("is_signed"), NOW.timestamp()
    checks = {
        "as it came": is_signed(secret, request.headers, request.body, at),
        "another body": is_signed(secret, request.headers, request.body + b" ", at),
        "another secret": is_signed("a guess", request.headers, request.body, at),
        "too old": is_signed(secret, request.headers, request.body, at + 301),
    }
    assert checks == {"as it came": True, "another body": False, "another secret": False, "too old": False}


def test_the_policy_of_the_readme_loads_with_its_config(tmp_path: Path) -> None:
    blocks = [each["text"] for each in _BLOCK.finditer((HOUSE / "README.md").read_text()) if each["language"] == "yaml"]
    (policy,) = [text for text in blocks if "kind: RollbackPolicy" in text]
    (config,) = [text for text in blocks if "kind: Config" in text]
    (tmp_path / "policies.d").mkdir()
    (tmp_path / "policies.d" / "checkout.yaml").write_text(policy)
    (tmp_path / "rollbackd.yaml").write_text(config)
    done = CliRunner().invoke(cli, ["check", "--config", str(tmp_path / "rollbackd.yaml")])
    assert (done.exit_code, done.output.splitlines()[0]) == (0, "2 files: 1 policy sound")
