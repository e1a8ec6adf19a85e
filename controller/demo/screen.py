"""What the demo shows: one time-stamped line for each thing that happens, in colour where a terminal shows it."""

import re
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from rollbackd.controller.cli.show import is_plain

_STYLES = {"shop": "cyan", "you": "magenta", "rollbackd": "green", "on-call": "yellow", "demo": "dim"}
_DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{32,}\b")


class Screen:
    """Lines for people. Written through rich, which leaves colours out where there is no terminal; under NO_COLOR nothing is bold either."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(color_system=None if is_plain() else "auto", highlight=False, soft_wrap=True)

    def chapter(self, title: str) -> None:
        """A new part of the story begins."""
        self._console.print()
        self._console.print(Text(f"== {title}", style="bold"))

    def say(self, who: str, what: str, *, style: str = "", at: datetime | None = None) -> None:
        """``who`` did ``what``, now or ``at`` (UTC, as everywhere in rollbackd). Long digests are cut to their first letters."""
        line = Text()
        line.append(f"{at or datetime.now(UTC):%H:%M:%S}  ", style="dim")
        line.append(f"{who:<10} ", style=_STYLES.get(who, ""))
        line.append(_DIGEST.sub(r"\1…", what), style=style)
        self._console.print(line)

    def quote(self, text: str) -> None:
        """What somebody else said, word for word."""
        for line in text.splitlines():
            self._console.print(Text(f"  | {line}"))

    def write(self, text: str = "") -> None:
        """Plain lines."""
        self._console.print(Text(text))
