"""The daemon's config, read by a command: either it is sound, or every fault is on stderr and nothing else is done.

Only where the daemon is, is read of a faulty one too: a half-edited file must not keep on-call from the daemon that runs.
"""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import click

from rollbackd.controller.cli.faults import fault_text
from rollbackd.controller.cli.show import say
from rollbackd.controller.config.load import Config, certain, load_config
from rollbackd.controller.texts import bounded_text
from rollbackd.policies.text.faults import Fault


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """All of a config that a command needs to find its daemon, and the daemon's folder."""

    listen: tuple[str, int]
    token_file: Path
    data_dir: Path


class BadConfig(click.ClickException):
    """The config is at fault; what is wrong was said already."""

    def show(self, file: object = None) -> None:
        """The summary."""
        say(f"rollbackd: {self.message}")


def read_config(file: Path) -> Config:
    """The config in ``file``. Raises BadConfig after all faults were printed, click.ClickException if it cannot be read."""
    text = config_text(file)
    config = parsed(text, file)
    if isinstance(config, Config):
        return config
    raise _bad(file, text, config)


def read_whereabouts(file: Path) -> Whereabouts:
    """Where the daemon of the config in ``file`` is, with a warning where anything else in it is at fault. Raises as ``read_config``."""
    text = config_text(file)
    config = parsed(text, file)
    if isinstance(config, Config):
        return Whereabouts(config.api.listen, config.api.token_file, config.data_dir)
    if (found := known_whereabouts(file)) is None:
        raise _bad(file, text, config, "so no daemon was asked: mend it, or name the daemon with --server URL and --token-file FILE")
    say(f"rollbackd: warning: {file} is not sound, and only where its daemon is was read; see `rollbackd check --config {quote(str(file))}`")
    return found


def known_whereabouts(file: Path) -> Whereabouts | None:
    """As ``read_whereabouts``, without a word; None where a fault leaves it uncertain."""
    text, base = config_text(file), file.parent.absolute()
    config = parsed(text, file)
    trails = ("api", "listen"), ("data_dir",)
    found = config if isinstance(config, Config) else certain(text, str(file), base, trails, also=(("api", "token_file"),))
    return Whereabouts(found.api.listen, found.api.token_file, found.data_dir) if found is not None else None


def own_policies(file: Path) -> tuple[Path, ...]:
    """Where the policies of a faulty config are; none where a fault leaves that uncertain."""
    found = certain(config_text(file), str(file), file.parent.absolute(), (("policies",),))
    return found.policies if found is not None else ()


def _bad(file: Path, text: str, faults: tuple[Fault, ...], advice: str = "") -> BadConfig:
    for fault in faults:
        say(fault_text(fault, text))
    said = f"{file} is not sound; see `rollbackd check --config {quote(str(file))}`"
    return BadConfig(f"{said}; {advice}" if advice else said)


def config_text(file: Path) -> str:
    """What the file holds. Raises click.ClickException."""
    try:
        return bounded_text(file)
    except (OSError, UnicodeDecodeError) as fault:
        raise click.ClickException(f"{file} cannot be read: {fault}") from fault


def parsed(text: str, file: Path) -> Config | tuple[Fault, ...]:
    """The config, or its faults; relative paths start from the file's folder."""
    return load_config(text, str(file), file.parent.absolute())
