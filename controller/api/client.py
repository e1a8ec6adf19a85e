"""How the command reaches a daemon: its address, its token, one request at a time. Never follows a redirect: the token stays with its daemon."""

import http.client
import json
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

LONGEST_ANSWER = 64 * 1024 * 1024
USAGE, FAILED, BLOCKED, UNREACHABLE = 64, 1, 3, 4
CODES = {400: USAGE, 409: BLOCKED, 413: USAGE}


class ClientFault(Exception):
    """The daemon did not do what was asked. ``code``: the command's exit code; ``hint``: what to do now."""

    def __init__(self, message: str, hint: str, code: int) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


@dataclass(frozen=True, slots=True)
class Client:
    """One daemon. ``server``: ``http://127.0.0.1:8080``; https is checked against the system's authorities."""

    server: str
    token: str = field(repr=False)

    def get(self, path: str, timeout: float = 15.0, **query: str | list[str] | None) -> dict[str, Any]:
        """The document at ``path`` under /api/v1; a list is sent as one parameter for each. Raises ClientFault."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", f"{path}?{urlencode(given, doseq=True)}" if given else path, None, timeout)

    def post(self, path: str, timeout: float = 15.0, **body: object) -> dict[str, Any]:
        """What the daemon answers to the posted values. Raises ClientFault."""
        given = {name: value for name, value in body.items() if value is not None}
        return self._ask("POST", path, json.dumps(given).encode(), timeout)

    def reach(self, timeout: float = 5.0) -> None:
        """Something listens there; nothing was sent to it, the token least of all. Raises ClientFault."""
        connection = self._connection(timeout)
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as fault:
            raise self._unreachable(fault) from fault
        finally:
            connection.close()

    def _ask(self, method: str, path: str, body: bytes | None, timeout: float) -> dict[str, Any]:
        connection = self._connection(timeout)
        headers = {"authorization": f"Bearer {self.token}", "accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            connection.request(method, f"/api/v1/{path}", body, headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read(LONGEST_ANSWER)
        except (OSError, http.client.HTTPException) as fault:
            raise self._unreachable(fault) from fault
        finally:
            connection.close()
        return self._document(status, text)

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        place = urlsplit(self.server if "://" in self.server else f"http://{self.server}")
        try:
            host, port = place.hostname, place.port
        except ValueError as fault:
            raise ClientFault(f"{self.server!r} is no address", "write --server http://127.0.0.1:8080", USAGE) from fault
        if place.scheme not in ("http", "https") or not host or place.path.strip("/") or place.query or place.username:
            raise ClientFault(f"{self.server!r} is no address", "write --server http://127.0.0.1:8080", USAGE)
        if place.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _unreachable(self, fault: Exception) -> ClientFault:
        if isinstance(fault, TimeoutError):
            hint = "it may be overloaded or stopped: look at its log and its /healthz"
            return ClientFault(f"rollbackd at {self.server} did not answer in time", hint, UNREACHABLE)
        if isinstance(fault, socket.gaierror):
            hint = "check the name in --server"
        elif isinstance(fault, ConnectionRefusedError):
            hint = "is it running there (`rollbackd run`)? From a laptop, forward its port first and name it with --server"
        else:
            hint = "check the address, and that it speaks what --server says (http or https)"
        why = getattr(fault, "strerror", None) or str(fault) or type(fault).__name__
        return ClientFault(f"rollbackd at {self.server} could not be reached: {why}", hint, UNREACHABLE)

    def _document(self, status: int, text: bytes) -> dict[str, Any]:
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ClientFault(f"{self.server} answered {status} and no JSON", "is another program listening there?", UNREACHABLE)
        if status == 200:
            return document
        if status == 401:
            hint = "name the file that the daemon keeps it in: --token-file DATA_DIR/api.token"
            raise ClientFault(f"the daemon at {self.server} does not take this token", hint, FAILED)
        raise ClientFault(str(document.get("error", f"the daemon answered {status}")), str(document.get("hint", "")), CODES.get(status, FAILED))
