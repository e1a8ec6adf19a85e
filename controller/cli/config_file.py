"""The daemon's config, read by a command: either it is sound, or every fault is on stderr and nothing else is done."""

from pathlib import Path

import click

from rollbackd.controller.cli.faults import fault_text
from rollbackd.controller.cli.show import say
from rollbackd.controller.config.load import Config, load_config
from rollbackd.policies.text.faults import Fault


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
    for fault in config:
        say(fault_text(fault, text))
    raise BadConfig(f"{file} is not sound; see `rollbackd check --config {file}`")


def config_text(file: Path) -> str:
    """What the file holds. Raises click.ClickException."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise click.ClickException(f"{file} cannot be read: {fault}") from fault


def parsed(text: str, file: Path) -> Config | tuple[Fault, ...]:
    """The config, or its faults; relative paths start from the file's folder."""
    return load_config(text, str(file), file.parent.absolute())
