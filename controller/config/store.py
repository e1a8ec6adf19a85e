"""The daemon's config for its store: a file of its own, or a PostgreSQL that replicas share."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

from rollbackd.controller.config.documents import StoreParts
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.text.yaml_text import Path as Trail

_MEMORY = ("sqlite://", "sqlite:///", "sqlite:///:memory:")
_POSTGRESQL = ("postgresql", "postgresql+psycopg")
_EXAMPLE = "postgresql://USER@HOST/DATABASE"


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Where the journal is. ``password_file``: of a database that asks for one."""

    url: str
    password_file: Path | None = None


def store_config(written: str | StoreParts | None, base: Path, data_dir: Path, findings: Findings) -> StoreConfig:
    """What was written, with absolute paths; what is wrong with it is among the findings."""
    if written is None:
        return StoreConfig(f"sqlite:///{data_dir / 'rollbackd.db'}")
    url, password_file = (written, None) if isinstance(written, str) else (written.url, written.password_file)
    at: Trail = ("store",) if isinstance(written, str) else ("store", "url")
    if url.startswith("postgres"):
        _check_postgresql(url, at, findings)
        return StoreConfig(url, base / password_file if password_file is not None else None)
    if url in _MEMORY:
        findings.fault(at, "a database that outlives the daemon", f"'{url}'", "write sqlite:////data/rollbackd.db")
    elif not url.startswith("sqlite:///"):
        findings.fault(at, f"a URL such as sqlite:////data/rollbackd.db or {_EXAMPLE}", "another kind of store")
    elif password_file is not None:
        findings.fault(("store", "password_file"), "no password for a file", "one", "remove it, or name a PostgreSQL in `url`", at_key=True)
    return StoreConfig(f"sqlite:///{base / url.removeprefix('sqlite:///')}")


def _check_postgresql(url: str, at: Trail, findings: Findings) -> None:
    """No message repeats the URL: it may hold what it must not."""
    parts = _split(url)
    if parts is None or parts.scheme not in _POSTGRESQL:
        findings.fault(at, _EXAMPLE, "another URL")
    elif parts.password is not None or {"password", "sslpassword"} & parse_qs(parts.query).keys():
        hint = "write the password into a file: store: {url: …, password_file: …}"
        findings.fault(at, "a URL without a password", "one with a password", hint)
    elif not parts.path.strip("/"):
        findings.fault(at, _EXAMPLE, "no name of a database")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
