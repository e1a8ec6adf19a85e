"""What several parts of the daemon's config are written with: addresses and files."""

from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from rollbackd.adapters.base.metadata import is_metadata
from rollbackd.policies.documents.base import refuse


def _web(text: str) -> str:
    return _url(text, ("http", "https"))


def _probed(text: str) -> str:
    return _url(text, ("http", "https", "tcp"))


def _url(text: str, schemes: tuple[str, ...]) -> str:
    # A webhook's URL is a secret even where it is misspelt, so no message repeats it.
    expected, found = f"a URL that starts with {' or '.join(f'{scheme}://' for scheme in schemes)}", "something else"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise refuse(expected, found) from error
    if parts.scheme not in schemes or not parts.hostname or any(char.isspace() for char in text):
        raise refuse(expected, found)
    if parts.scheme == "tcp" and port is None:
        raise refuse("a URL such as tcp://host:port")
    if is_metadata(parts.hostname):
        raise refuse("the address of a service", "one where a cloud hands out credentials", "name what is to be asked itself")
    # Whatever is in this file ends up in tickets and chats.
    if parts.username or parts.password:
        raise refuse("a URL without credentials", "one with a user or a password", "put them into a file and name the file")
    return text


WebUrl: TypeAlias = Annotated[str, AfterValidator(_web), Field(max_length=2000)]
ProbeUrl: TypeAlias = Annotated[str, AfterValidator(_probed), Field(max_length=2000)]
FilePath: TypeAlias = Annotated[str, Field(min_length=1, max_length=1000)]
