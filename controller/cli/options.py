"""The options that many commands share, and how a command finds its daemon."""

import functools
import getpass
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from rollbackd.controller.api.client import Client

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_CONFIG = Path("rollbackd.yaml")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the daemon is, as far as it was said."""

    server: str | None
    token_file: Path | None
    config: Path | None

    def client(self) -> Client:
        """A client of the daemon; what was not said is read from the daemon's config. Raises click.ClickException."""
        server, token_file = self.server, self.token_file
        if server is None or token_file is None:
            found = _from_config(self.config)
            server, token_file = server or found.server, token_file or found.token_file
        return Client(str(server), _token(Path(str(token_file))))


def to_write(_: click.Context, option: click.Parameter, place: Path | None) -> Path | None:
    """The file or folder of an option, whose parents may be missing. One that cannot be written is told before the work that it is for."""
    if place is not None and (why := _unwritable(place.absolute())) is not None:
        raise click.BadParameter(f"{place} cannot be written: {why}", param=option)
    return place


def _unwritable(place: Path) -> str | None:
    try:
        there = next(each for each in (place, *place.parents) if each.exists())
    except OSError as fault:
        return fault.strerror
    if there != place and not there.is_dir():
        return f"{there} is no folder"
    return None if os.access(there, os.W_OK) else f"{there} may not be written to"


def finds_daemon(command: F) -> F:
    """The command takes --server, --token-file and --config, and gets ``daemon``, which is called for a client and finds none before that.
    A config that was named is stronger than the environment.
    """

    @click.option("--server", envvar="ROLLBACKD_SERVER", metavar="URL", help="The daemon's API, such as http://127.0.0.1:8080.")
    @click.option("--token-file", envvar="ROLLBACKD_TOKEN_FILE", type=FILE, help="The file with its token (DATA_DIR/api.token).")
    @click.option("--config", type=FILE, help="The daemon's config, which names both. Default: ./rollbackd.yaml, where it exists.")
    @functools.wraps(command)
    def found(server: str | None, token_file: Path | None, config: Path | None, **rest: Any) -> Any:
        return command(daemon=lambda: _said(server, token_file, config).client(), **rest)

    return found  # type: ignore[return-value]  # click reads the options off the function; its own signature is not called


def talks_to_daemon(command: F) -> F:
    """As ``finds_daemon``; the command gets the ``client``."""

    @finds_daemon
    @functools.wraps(command)
    def found(daemon: Callable[[], Client], **rest: Any) -> Any:
        return command(client=daemon(), **rest)

    return found  # type: ignore[return-value]  # as above


def _said(server: str | None, token_file: Path | None, config: Path | None) -> Place:
    """Raises click.UsageError where a server would get a token that is not known to be its own."""
    source = click.get_current_context().get_parameter_source
    if config is not None:
        server = None if source("server") is ParameterSource.ENVIRONMENT else server
        token_file = None if source("token_file") is ParameterSource.ENVIRONMENT else token_file
    elif server is not None and token_file is None:
        Client(server, "").reach()  # first: whoever is not there needs no token
        raise click.UsageError(f"which token is for {server}? Name its file with --token-file (ROLLBACKD_TOKEN_FILE), or the daemon's --config")
    return Place(server, token_file, config)


def prints(command: F) -> F:
    """The command takes -o and gets ``output``."""
    return click.option("-o", "--output", type=click.Choice(("table", "json", "yaml")), default="table", show_default=True, help="What stdout gets.")(
        command
    )


def whoami() -> str:
    """Who asks, for the journal: told, not proven."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def data_dir(server: str | None, token_file: Path | None, config: Path | None) -> str:
    """The daemon's folder, where a config says it that was named, or that the client was found by; else the word for it, also where a fault
    leaves it uncertain.
    """
    from rollbackd.controller.cli.config_file import known_whereabouts

    if config is None and (server is None or token_file is None) and DEFAULT_CONFIG.is_file():
        config = DEFAULT_CONFIG
    found = known_whereabouts(config) if config is not None else None
    return str(found.data_dir) if found is not None else "DATA_DIR"


def _from_config(file: Path | None) -> Place:
    from rollbackd.controller.cli.config_file import read_whereabouts

    if file is None and not DEFAULT_CONFIG.is_file():
        raise click.UsageError(
            "which daemon? Name its config with --config, or --server URL and --token-file FILE (ROLLBACKD_SERVER, ROLLBACKD_TOKEN_FILE)"
        )
    found = read_whereabouts(file or DEFAULT_CONFIG)
    listens, port = found.listen
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listens, listens)  # noqa: S104 - who listens everywhere is reached here
    return Place(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}", found.token_file, file)


def _token(file: Path) -> str:
    from rollbackd.controller.api.token import read_token

    try:
        return read_token(file)
    except FileNotFoundError as fault:
        raise click.ClickException(f"{file} does not exist: the daemon makes it at its first start; has it run, and as the same user?") from fault
    except PermissionError as fault:
        raise click.ClickException(f"{file} may not be read: run this as the daemon's user, or have the token copied to you") from fault
    except OSError as fault:
        raise click.ClickException(str(fault)) from fault
    except ValueError as fault:
        raise click.ClickException(f"{fault}; name the file that the daemon keeps its token in: --token-file DATA_DIR/api.token") from fault
