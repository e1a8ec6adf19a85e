"""Data on stdout, talk on stderr. Colour and width follow the terminal; a pipe gets neither.

Nothing that others wrote speaks to the terminal: it is shown what they wrote, and whatever passes through here does so.
"""

import io
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDE = 10_000
"""The width of a pipe: rows stay whole, so that grep and awk see them."""

_NUMBERS_OF_1_2 = re.compile(r"(?:[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+)\Z")
"""What YAML 1.2, hence our own reader, takes for a number; PyYAML, of YAML 1.1, would leave the commit ``58e7600`` without quotes."""

_UNSEEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Controls of a terminal, of the direction of text, and of lines, but for the newline and the tab; and halves of characters."""
_UNSHOWN = re.compile(f"[{_UNSEEN}]")


def visible(text: str) -> str:
    """The text with what would speak to the terminal spelt out, as ``\\x1b``."""
    return _UNSHOWN.sub(lambda found: ascii(found[0])[1:-1], text)


def show(document: Mapping[str, Any], output: str, table: "Callable[[Console], None]") -> None:
    """The document on stdout: as it is in JSON or YAML, or drawn by ``table``."""
    if output == "json":
        click.echo(as_json(document))
    elif output == "yaml":
        click.echo(as_yaml(document, WIDE), nl=False)
    else:
        draw(sys.stdout, table)


def draw(file: IO[str], table: "Callable[[Console], None]") -> None:
    """The table on stdout or stderr: as wide as the terminal, and in a pipe with every row whole."""
    if file.isatty():
        table(console(file))
        return
    buffer = io.StringIO()
    table(console(buffer, WIDE))
    click.echo("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()), file=file)


def as_json(document: Mapping[str, Any]) -> str:
    """The document; what a terminal would obey is escaped, and read back as it was."""
    return _UNSHOWN.sub(_numbered, json.dumps(document, indent=2, ensure_ascii=False))


def _numbered(found: re.Match[str]) -> str:
    """The escape that JSON and YAML share."""
    return f"\\u{ord(found[0]):04x}"


def as_yaml(document: Mapping[str, Any], width: int) -> str:
    """The document in lines of about ``width``: text is text to readers of YAML 1.1 and of 1.2 alike, and what comes twice stands twice."""
    import yaml

    class Writer(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    def text(writer: yaml.SafeDumper, found: str) -> yaml.ScalarNode:
        return writer.represent_scalar("tag:yaml.org,2002:str", found, style='"' if _UNSHOWN.search(found) else None)

    Writer.add_representer(str, text)
    Writer.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBERS_OF_1_2, list("-+.0123456789"))
    written = yaml.dump(dict(document), Dumper=Writer, sort_keys=False, allow_unicode=True, width=width)
    return _UNSHOWN.sub(_numbered, written)  # they stand between double quotes, where alone YAML has escapes


def say(text: str) -> None:
    """A line for people on stderr."""
    click.echo(visible(text), err=True)


def console(file: IO[str], width: int | None = None) -> "Console":
    """The terminal's own width where ``width`` is None; COLUMNS is honoured, and under NO_COLOR nothing is bold or dim either. Draws ``visible``
    text only.
    """
    from rich.console import Console

    class Plain(Console):
        def render_str(self, text: str, **how: Any) -> "Text":
            return super().render_str(visible(text), **how)

    return Plain(file=file, width=width, color_system=None if is_plain() else "auto", highlight=False, emoji=False)


def is_plain() -> bool:
    """Whether NO_COLOR is set: then no code for a terminal is written at all. Rich would leave those that are no colour."""
    return bool(os.environ.get("NO_COLOR"))


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
