"""Data on stdout, talk on stderr. Colour and width follow the terminal; a pipe gets neither."""

import io
import json
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 10_000
"""The width of a pipe: rows stay whole, so that grep and awk see them."""

_NUMBERS_OF_1_2 = re.compile(r"(?:[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+)\Z")
"""What YAML 1.2, hence our own reader, takes for a number; PyYAML, of YAML 1.1, would leave the commit ``58e7600`` without quotes."""


def show(document: Mapping[str, Any], output: str, table: "Callable[[Console], None]") -> None:
    """The document on stdout: as it is in JSON or YAML, or drawn by ``table``."""
    if output == "json":
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif output == "yaml":
        click.echo(as_yaml(document, WIDE), nl=False)
    elif sys.stdout.isatty():
        table(_console(sys.stdout, None))
    else:
        buffer = io.StringIO()
        table(_console(buffer, WIDE))
        click.echo("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()))


def as_yaml(document: Mapping[str, Any], width: int) -> str:
    """The document in lines of about ``width``: text is text to readers of YAML 1.1 and of 1.2 alike, and what comes twice stands twice."""
    import yaml

    class Writer(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    Writer.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBERS_OF_1_2, list("-+.0123456789"))
    return yaml.dump(dict(document), Dumper=Writer, sort_keys=False, allow_unicode=True, width=width)


def say(text: str) -> None:
    """A line for people on stderr."""
    click.echo(text, err=True)


def _console(file: IO[str], width: int | None) -> "Console":
    """The terminal's own width where ``width`` is None; NO_COLOR and COLUMNS are honoured."""
    from rich.console import Console

    return Console(file=file, width=width, highlight=False, emoji=False)


def clock(moment: datetime | None, now: datetime) -> str:
    """``14:03:15`` where it is today, with the date where it is not."""
    if moment is None:
        return "-"
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M:%S}"


def since(moment: datetime | None, now: datetime) -> str:
    """``4s ago``, ``in 58m``."""
    if moment is None:
        return "never"
    return f"{span(now - moment)} ago" if moment <= now else f"in {span(moment - now)}"


def span(length: timedelta) -> str:
    """A length in its largest unit or two: ``45s``, ``12m``, ``3h5m``, ``2d4h``."""
    seconds = int(length.total_seconds())
    for unit, name, finer, sub in ((86400, "d", 3600, "h"), (3600, "h", 60, "m")):
        if seconds >= unit:
            rest = seconds % unit // finer
            return f"{seconds // unit}{name}{f'{rest}{sub}' if rest else ''}"
    return f"{seconds // 60}m" if seconds >= 60 else f"{seconds}s"
