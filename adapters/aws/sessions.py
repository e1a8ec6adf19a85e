"""Our credentials in each account, and the SDK's clients made of them: assumed when needed, kept, and renewed before they expire."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from rollbackd.adapters.aws.account import Account
from rollbackd.adapters.aws.calls import ASSUME_ROLE
from rollbackd.adapters.aws.failures import Sent, failure
from rollbackd.adapters.base.errors import AdapterError

READER = "rollbackd"
"""The session name under which we read; what we change is done under the incident's."""
EARLY = timedelta(minutes=5)
"""So long before they expire credentials are renewed."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A client, or a session, and until when its credentials serve (None: the SDK renews them by itself)."""

    made: Any
    until: datetime | None


class Sessions:
    """The clients of one account. Safe to call from several threads."""

    def __init__(self, account: Account, now: Callable[[], datetime], timeout: tuple[float, float]) -> None:
        self._account = account
        self._now = now
        self._timeout = timeout
        self._lock = threading.RLock()
        self._sessions: dict[str, _Entry] = {}
        self._clients: dict[tuple[str, str, str], _Entry] = {}
        self._proven: dict[str, str] = {}

    def client(self, region: str, service: str, name: str = READER) -> Any:
        """The SDK's client of a service under the session ``name``. Raises Transient, Permanent or Refused if the role cannot be assumed."""
        name = self._named(name)
        with self._lock:
            key = (region, service, name)
            if (kept := self._clients.get(key)) is not None and self._serves(kept):
                return kept.made
            session = self._session(region, name)
            made = _Entry(self._made(session.made, service, region), session.until)
            self._clients = {each: entry for each, entry in self._clients.items() if self._serves(entry)} | {key: made}
            return made.made

    def key(self, region: str, name: str) -> str | None:
        """The id of the access key that calls under the session are signed with now; None while there is none to be had."""
        from botocore.exceptions import BotoCoreError

        try:
            with self._lock:
                session = self._session(region, self._named(name)).made
            found = session.get_credentials()
            return str(found.get_frozen_credentials().access_key) if found is not None else None
        except (AdapterError, BotoCoreError):
            return None  # whoever calls next is told why

    def is_proven(self, key: str, name: str) -> bool:
        """Whether this access key of the session was seen to be of the configured account."""
        with self._lock:
            return self._proven.get(self._named(name)) == key

    def prove(self, before: str | None, region: str, name: str) -> None:
        """The session was seen to be of the account. ``before``: its access key when it was asked; one that was renewed meanwhile proves nothing."""
        after = self.key(region, name)
        if after is not None and before in (None, after):
            with self._lock:
                self._proven = {each: key for each, key in self._proven.items() if each in self._sessions} | {self._named(name): after}

    def forget(self) -> None:
        """The next call asks for credentials anew."""
        with self._lock:
            self._sessions.clear()
            self._clients.clear()
            self._proven.clear()

    def _named(self, name: str) -> str:
        # Without a role no session has a name: one of its own for each incident would be kept for ever.
        return READER if self._account.role is None else session_name(name)

    def _serves(self, entry: _Entry) -> bool:
        return entry.until is None or self._now() < entry.until - EARLY

    def _session(self, region: str, name: str) -> _Entry:
        if (kept := self._sessions.get(name)) is not None and self._serves(kept):
            return kept
        made = _Entry(_own_session(), None) if self._account.role is None else self._assumed(self._account.role, region, name)
        self._sessions = {each: entry for each, entry in self._sessions.items() if self._serves(entry)} | {name: made}
        return made

    def _assumed(self, role: str, region: str, name: str) -> _Entry:
        """The role's session. It is asked for in the region it will be used in, so that no other region's outage keeps us out."""
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        asked = {"RoleArn": role, "RoleSessionName": name}
        if self._account.external_id is not None:
            asked["ExternalId"] = self._account.external_id
        try:
            answer = self._made(_own_session(), "sts", region).assume_role(**asked)
        except (ClientError, BotoCoreError, ResponseParserError) as fault:
            raise failure(Sent(self._account, region, ASSUME_ROLE, {"RoleArn": role, "RoleSessionName": name}), fault) from fault
        given = answer["Credentials"]
        session = boto3.session.Session(
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
            botocore_session=_core(),
        )
        return _Entry(session, given["Expiration"])

    def _made(self, session: Any, service: str, region: str) -> Any:
        from botocore.config import Config

        connect, read = self._timeout
        config = Config(
            # The SDK would send a write again by itself after a lost answer; retries have one owner, and it is not here.
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=connect,
            read_timeout=read,
            ignore_configured_endpoint_urls=True,
            user_agent_extra="rollbackd",
        )
        return session.client(service, region_name=region, endpoint_url=self._account.endpoint, config=config)


def _own_session() -> Any:
    import boto3

    return boto3.session.Session(botocore_session=_core())


def _core() -> Any:
    import botocore.session

    core = botocore.session.Session()
    # Reading a service's model takes a quarter of a second and megabytes: once for the process, and not when an incident makes a session of its own.
    core.register_component("data_loader", _models())
    # The old global endpoint is in one region, and down with it.
    core.set_config_variable("sts_regional_endpoints", "regional")
    return core


@cache
def _models() -> Any:
    import botocore.loaders

    return botocore.loaders.create_loader()


def session_name(text: str) -> str:
    """The text as Amazon takes it for a session name: 2 to 64 characters of a few kinds."""
    return re.sub(r"[^\w+=,.@-]", "-", text, flags=re.ASCII)[:64].ljust(2, "-")
