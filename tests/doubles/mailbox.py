"""A real SMTP server on loopback (aiosmtpd) that keeps what it takes and refuses what a test tells it to."""

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests.servers import free_port

USER, PASSWORD = "rollbackd", "hunter2"


@dataclass
class Mailbox:
    """What arrived, as it came. ``refuses``: the answer to a recipient; ``says``: the answer to a message, once each."""

    port: int = 0
    raw: list[bytes] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    says: list[str] = field(default_factory=list)

    @property
    def mails(self) -> list[EmailMessage]:
        """The messages, read."""
        return [message_from_bytes(raw, policy=default) for raw in self.raw]  # type: ignore[arg-type,misc]

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """One recipient is taken or refused."""
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        """The message is kept."""
        if self.says:
            return self.says.pop(0)
        assert isinstance(envelope.content, bytes)
        self.raw.append(envelope.content)
        self.recipients.append(list(envelope.rcpt_tos))
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 OK"


def _login(server: Any, session: Session, envelope: Envelope, mechanism: str, auth_data: Any) -> AuthResult:
    right = isinstance(auth_data, LoginPassword) and (auth_data.login, auth_data.password) == (USER.encode(), PASSWORD.encode())
    # Some servers say what they were given.
    said = auth_data.password.decode() if isinstance(auth_data, LoginPassword) else ""
    return AuthResult(success=right, handled=False, message=None if right else f"535 5.7.8 not with {said}")


@contextlib.contextmanager
def mailbox(*, starttls: ssl.SSLContext | None = None, implicit: ssl.SSLContext | None = None, login: bool = False) -> Iterator[Mailbox]:
    """A mail server for the length of the block."""
    box = Mailbox(free_port())
    options: dict[str, Any] = {"tls_context": starttls, "require_starttls": starttls is not None}
    if login:
        options |= {"authenticator": _login, "auth_required": True, "auth_require_tls": starttls is not None}
    controller = Controller(box, hostname="127.0.0.1", port=box.port, ssl_context=implicit, server_hostname="mail.test", **options)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS as the server speaks it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
