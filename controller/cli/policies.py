"""Commands that need no daemon: check, schema."""

import contextlib
import importlib.metadata
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rollbackd.controller.api.client import UNREACHABLE
from rollbackd.controller.cli.options import FILE
from rollbackd.controller.cli.past import duration_option
from rollbackd.controller.cli.prometheus import CA_FILE, TOKEN_FILE, address_option
from rollbackd.controller.cli.show import as_json, say, visible
from rollbackd.controller.numbers import counted
from rollbackd.controller.texts import Texts

if TYPE_CHECKING:
    from rollbackd.controller.config.load import Config
    from rollbackd.policies.fleets.policy import FleetPolicy
    from rollbackd.policies.load import Loaded
    from rollbackd.policies.model.policy import Policy
    from rollbackd.policies.resolve.names import Names
    from rollbackd.policies.text.faults import Fault

FOUND = 2
TOLD_EVERY = 50  # files
NAMED = 8  # conditions


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to; ``texts`` are those that the faults point into, ``policies`` how many are sound."""

    files: int
    policies: int
    faults: "tuple[Fault, ...]"
    warnings: "tuple[Fault, ...]"
    texts: Mapping[str, str]
    loaded: "Loaded"
    config: "Config | None"

    @property
    def boundless(self) -> tuple[str, ...]:
        """The conditions for which no ``max_false_rollback`` holds."""
        from rollbackd.policies.model.signals import OfTarget

        policies = (*self.loaded.policies, *(fleet.template for fleet in self.loaded.fleets))
        measured = (each for policy in policies for each in policy.conditions if not isinstance(each.signal, OfTarget))
        return tuple(dict.fromkeys(each.name for each in measured if each.bound is None))


@click.command(
    short_help="Check policies without a daemon.",
    epilog="Exit codes: 0 sound, 2 something is wrong (with --strict also what is only doubtful), 4 the Prometheus gave no answer.\n\n"
    "Examples:\n\n\b\n  rollbackd check policies.d/\n  rollbackd check --config rollbackd.yaml          # the config and its policies\n"
    "  rollbackd check --format github policies.d/*.yaml\n"
    "  rollbackd check policies.d/ --prometheus http://prometheus:9090   # have they data, can their limits fire?",
)
@click.argument("places", metavar="FILES|FOLDERS...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--config", type=FILE, help="Check this too, and that policies name only what it has. Without FILES: its own policies.")
@click.option(
    "--prometheus",
    metavar="URL",
    callback=address_option,
    help="Ask this server, too, as the daemon would: data, and buckets that let each limit fire.",
)
@TOKEN_FILE
@CA_FILE
@click.option(
    "--scrape-interval", metavar="DURATION", callback=duration_option, help="As in the daemon's config. Default: what --config says of it, or 15s."
)
@click.option(
    "-o", "--format", "form", type=click.Choice(("text", "json", "github")), default="text", show_default=True, help="How faults are shown."
)
@click.option("--strict", is_flag=True, help="A warning is a fault.")
def check(
    places: tuple[Path, ...],
    config: Path | None,
    prometheus: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    scrape_interval: timedelta | None,
    form: str,
    *,
    strict: bool,
) -> None:
    """Check policies without a daemon: every fault of every file, with its place and what to write instead."""
    if not places and config is None:
        raise click.UsageError("name files or folders, or the daemon's config with --config")
    about = {"--token-file": token_file, "--ca-file": ca_file, "--scrape-interval": scrape_interval}
    if prometheus is None and (astray := [option for option, given in about.items() if given is not None]):
        raise click.UsageError(f"{astray[0]} is for --prometheus URL")
    checked, unanswered = _read(_checked(places, config)), None
    if prometheus is not None:
        from rollbackd.controller.cli.evidence import Server, with_evidence

        checked, unanswered = with_evidence(checked, Server(prometheus, token_file, ca_file, scrape_interval))
    _print(checked, form)
    is_bad = bool(checked.faults) or (strict and bool(checked.warnings))
    if unanswered is not None:
        say(f"rollbackd: {unanswered}")
    click.get_current_context().exit(UNREACHABLE if unanswered is not None else FOUND if is_bad else 0)


@click.command(
    short_help="JSON Schema of a policy, a policy test or the config; the OpenAPI document.",
    epilog="Examples:\n\n\b\n  rollbackd schema > rollbackd-policy.schema.json\n  # yaml-language-server: $schema=rollbackd-policy.schema.json",
)
@click.argument("what", type=click.Choice(("policy", "test", "config", "api")), default="policy")
def schema(what: str) -> None:
    """The JSON Schema of a policy, of a policy test, or of the daemon's config, for editors; the OpenAPI document of the local API."""
    click.echo(json.dumps(_schema(what), indent=2, ensure_ascii=False))


def _schema(what: str) -> Mapping[str, Any]:
    if what == "api":
        from rollbackd.controller.api.openapi import openapi

        return openapi(importlib.metadata.version("rollbackd"))
    if what == "policy":
        from rollbackd.policies.documents.schema import json_schema

        return json_schema()
    if what == "test":
        from rollbackd.controller.policytest.documents import PolicyTestDocument

        made = PolicyTestDocument.model_json_schema(by_alias=True)
    else:
        from rollbackd.controller.config.documents import ConfigDocument

        made = ConfigDocument.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:rollbackd:schema:v1:{what}", **made}


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the config adds to a check. ``names`` None: it is absent or faulty, so what policies name is not checked."""

    names: "Names | None"
    places: tuple[Path, ...]
    faults: "tuple[Fault, ...]"
    texts: Mapping[str, str]
    config: "Config | None" = None


def _checked(places: tuple[Path, ...], config: Path | None) -> Checked:
    from rollbackd.policies.load import load_policies

    frame = _frame(config, places) if config is not None else _Frame(None, places, (), {})
    with _progress() as told:
        texts = Texts(frame.places, told)
        if places and not texts:
            raise click.UsageError(f"no policy file (.yaml, .yml) in {', '.join(str(place) for place in places)}")
        loaded = load_policies(texts, frame.names)
    faults = (*frame.faults, *loaded.faults)
    warnings = (*(_nothing_watched(config, frame) if config is not None and frame.places and not texts else ()), *loaded.warnings)
    files, sound = len(texts) + len(frame.texts), len(loaded.policies) + len(loaded.fleets)
    return Checked(files, sound, faults, warnings, {**frame.texts, **texts}, loaded, frame.config)


def _nothing_watched(config: Path, frame: _Frame) -> "tuple[Fault, ...]":
    """Said of a config whose places hold no policy file: its daemon would start, and watch nothing."""
    from rollbackd.policies.text.validate import Findings
    from rollbackd.policies.text.yaml_text import parse

    findings = Findings(parse(frame.texts[str(config)], str(config)).documents[0])
    said = f"no policy file (.yaml, .yml) in {', '.join(str(place) for place in frame.places)}: nothing is watched"
    findings.warn(("policies",), said, "write one, or name where they are; folders below a folder are not looked into")
    return tuple(findings.faults)


def _frame(file: Path, places: tuple[Path, ...]) -> _Frame:
    from rollbackd.controller.cli.config_file import config_text, own_policies, parsed
    from rollbackd.controller.config.load import Config, names

    text = config_text(file)
    config = parsed(text, file)
    if not isinstance(config, Config):
        places = places or own_policies(file)
        if places:
            say(f"{file}: whether it has the sources, contacts and commands that policies name was not checked: mend it first")
        else:
            say(f"{file}: its policies were not checked: mend it first, or name their files")
        return _Frame(None, places, config, {str(file): text})
    return _Frame(names(config), places or config.policies, (), {str(file): text}, config)


def _read(checked: Checked) -> Checked:
    """The check with what is no PromQL."""
    from rollbackd.controller.cli.expressions import unreadable_in

    faults = unreadable_in(checked.texts)
    spoilt = {(fault.file, fault.trail.partition(" › ")[0]) for fault in faults}
    loaded: Sequence[Policy | FleetPolicy] = (*checked.loaded.policies, *checked.loaded.fleets)
    sound = {(policy.file, f"policy '{policy.name}'") for policy in loaded}
    return replace(checked, faults=tuple(sorted((*checked.faults, *faults))), policies=checked.policies - len(sound & spoilt))


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Tells how many files were read, on a terminal and where there are many; the line is gone afterwards."""
    if not sys.stderr.isatty():
        yield lambda number: None
        return

    def tell(number: int) -> None:
        if number % TOLD_EVERY == 0:
            click.echo(f"\rchecked {number} files", err=True, nl=False)

    try:
        yield tell
    finally:
        click.echo("\r\x1b[K", err=True, nl=False)


def _print(checked: Checked, form: str) -> None:
    from rollbackd.controller.cli.faults import fault_command, fault_text

    found = (*checked.faults, *checked.warnings)
    if form == "json":
        click.echo(as_json(_document(checked)))
    elif form == "github":
        for fault in found:
            click.echo(visible(fault_command(fault)))
    else:
        for fault in found:
            click.echo(visible(fault_text(fault, checked.texts.get(fault.file, ""))) + "\n")
    say(_summary(checked))


def _summary(checked: Checked) -> str:
    warned = f", {counted(len(checked.warnings), 'warning')}" if checked.warnings else ""
    sound = f"{counted(checked.policies, 'policy', 'policies')} sound"
    wrong = f"{counted(len(checked.faults), 'fault')}, " if checked.faults else ""
    return f"{counted(checked.files, 'file')}: {wrong}{sound}{warned}{_unbound(checked.boundless)}"


def _unbound(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"\nno bound on false rollbacks holds for {', '.join(names[:NAMED])}{more}: compared as it is"


def _document(checked: Checked) -> dict[str, Any]:
    return {
        "apiVersion": "rollbackd/v1",
        "kind": "CheckResult",
        "files": checked.files,
        "policies": checked.policies,
        "faults": [fault.as_dict() for fault in checked.faults],
        "warnings": [fault.as_dict() for fault in checked.warnings],
        "boundless": list(checked.boundless),
    }
