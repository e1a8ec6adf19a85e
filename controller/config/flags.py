"""The flag providers of the daemon's config, as written and as the daemon reads them. A kind is a value, its document and a line in ``KINDS``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from rollbackd.controller.config.leaves import FilePath, WebUrl
from rollbackd.policies.documents.base import Duration, PositiveDuration, Text, Written

if TYPE_CHECKING:
    from rollbackd.controller.config.flag_vendors import VendorProvider

SETTLE = timedelta(seconds=30)
MAX_FLAGS = 20
ProjectName: TypeAlias = Annotated[str, Field(pattern="^[A-Za-z0-9._~-]+$", max_length=100)]


# As the daemon reads them


@dataclass(frozen=True, slots=True)
class FlagdProvider:
    """A flagd flag file. ``safe_states``: the variant to serve, by flag."""

    kind: ClassVar[str] = "flagd"
    has_environments: ClassVar[bool] = False
    has_tags: ClassVar[bool] = True

    file: Path
    settle: timedelta = SETTLE
    safe_states: Mapping[str, str] = field(default_factory=dict)
    max_flags: int = MAX_FLAGS


@dataclass(frozen=True, slots=True)
class UnleashProvider:
    """A project of an Unleash server. ``client_token_file`` None: the evaluation path is not asked. ``safe_states``: off, on or leave, by flag."""

    kind: ClassVar[str] = "unleash"
    has_environments: ClassVar[bool] = True
    has_tags: ClassVar[bool] = True

    url: str
    token_file: Path
    client_token_file: Path | None = None
    project: str = "default"
    ca_file: Path | None = None
    timeout: timedelta = timedelta(seconds=10)
    settle: timedelta = SETTLE
    safe_states: Mapping[str, str] = field(default_factory=dict)
    max_flags: int = MAX_FLAGS


FlagProviderConfig: TypeAlias = "FlagdProvider | UnleashProvider | VendorProvider"


def place_of(name: str, provider: FlagProviderConfig) -> str:
    """The place that the provider's keys name: its own name, or the project of a provider that is named as its kind."""
    project = getattr(provider, "project", None)
    return project if project is not None and name == provider.kind else name


def clashes(providers: Mapping[str, FlagProviderConfig]) -> tuple[tuple[str, str], ...]:
    """Two names each, of providers whose keys could not be told apart."""
    first: dict[tuple[str, str], str] = {}
    found = []
    for name, provider in providers.items():
        taken = first.setdefault((provider.kind, place_of(name, provider)), name)
        if taken != name:
            found.append((taken, name))
    return tuple(found)


# As written


class FlagParts(Written):
    """What all flag providers share."""

    settle: Duration | None = Field(None, description="How long applications may take to see a change. Default 30s.")
    max_flags: Annotated[int, Field(ge=1, le=1000)] = Field(MAX_FLAGS, description="More than these are never written at once. Default 20.")


class FlagdParts(FlagParts):
    """A flagd flag file."""

    kind: Literal["flagd"] = Field("flagd", description="What it is. Default: its name.")
    file: FilePath = Field(description="The flag file.")
    safe_states: dict[Text, Text] = Field(
        default_factory=dict, description="The variant that is safe, by flag, or `leave`: never touched. Default: the variant `off`."
    )


class UnleashParts(FlagParts):
    """A project of an Unleash server."""

    kind: Literal["unleash"] = Field("unleash", description="What it is. Default: its name.")
    url: WebUrl = Field(description="The server's address, without /api.")
    token_file: FilePath = Field(description="A file that holds a token for the Admin API.")
    client_token_file: FilePath | None = Field(
        None, description="A file that holds a client (backend) token of the environment, to see that applications are served what was written."
    )
    project: ProjectName = Field("default", description="The project. Default `default`.")
    ca_file: FilePath | None = Field(None, description="A file with the certificates to trust.")
    timeout: PositiveDuration | None = Field(None, description="The longest wait for an answer. Default 10s.")
    safe_states: dict[Text, Literal["off", "on", "leave"]] = Field(
        default_factory=dict, description="What is safe, by flag: `off`, `on`, or `leave`: never touched. Default: off."
    )


def _flagd(parts: FlagdParts, base: Path) -> FlagdProvider:
    return FlagdProvider(base / parts.file, _settle(parts), dict(parts.safe_states), parts.max_flags)


def _unleash(parts: UnleashParts, base: Path) -> UnleashProvider:
    return UnleashProvider(
        url=parts.url,
        token_file=base / parts.token_file,
        client_token_file=base / parts.client_token_file if parts.client_token_file else None,
        project=parts.project,
        ca_file=base / parts.ca_file if parts.ca_file else None,
        timeout=parts.timeout or timedelta(seconds=10),
        settle=_settle(parts),
        safe_states=dict(parts.safe_states),
        max_flags=parts.max_flags,
    )


def _settle(parts: FlagParts) -> timedelta:
    return parts.settle if parts.settle is not None else SETTLE


@dataclass(frozen=True, slots=True)
class FlagKind:
    """How a kind is written, and how what was written is read with the folder that relative paths start from."""

    document: type[FlagParts]
    read: Callable[[Any, Path], FlagProviderConfig]  # Any: each kind's own document


KINDS: Mapping[str, FlagKind] = {
    "flagd": FlagKind(FlagdParts, _flagd),
    "unleash": FlagKind(UnleashParts, _unleash),
}
