"""People told by e-mail, through one SMTP server. All messages of an incident are one thread of the reader's mail program.

Named mail because a module called email would hide the standard library's. It is no pager: nobody learns whether a mail was read.
"""

import hashlib
import smtplib
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from email.headerregistry import HeaderRegistry, MessageIDHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Literal, TypeAlias

from rollbackd.adapters.base.deadline import ends_within
from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.base.secret_files import only_secret, spoiled
from rollbackd.adapters.base.wording import cut, fitted, one_line

Tls: TypeAlias = Literal["starttls", "implicit", "none"]

_SUBJECT, _BODY = 200, 64 * 1024
_HEADERS = HeaderRegistry()
for _name in ("references", "in-reply-to"):
    # Python knows Message-ID only. As free text an id longer than a line becomes encoded words, which no mail program reads as an id: no thread.
    _HEADERS.map_to_type(_name, MessageIDHeader)  # type: ignore[arg-type]  # it is made into a BaseHeader there, as its documentation says
_POLICY = SMTP.clone(header_factory=_HEADERS)


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. ``tls`` none: in plain text, for a relay on this machine. ``ca_file``: whom to trust; None: the public authorities."""

    host: str
    port: int
    tls: Tls = "starttls"
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None


class Mail:
    """A Notifier that mails each notice to every recipient at once. ``password_file`` is read anew for each message."""

    def __init__(
        self, contact: str, server: MailServer, *, sender: str, recipients: Sequence[str], timeout: timedelta = timedelta(seconds=30)
    ) -> None:
        if not recipients or (server.username is None) != (server.password_file is None):
            raise Permanent(f"contact {contact}: email needs recipients, and a user name and a password file or neither; correct the daemon's config")
        self.name = "email"
        self.missed: tuple[str, ...] = ()
        """One line for each recipient that the server refused in the last notice, while it took others."""
        self._contact = contact
        self._server = server
        self._sender = sender
        self._recipients = tuple(recipients)
        self._timeout = timeout

    def send(self, notice: Notice) -> None:
        """Taken by the server for at least one recipient once this returns; sent twice, it has the same Message-ID. Raises Transient or Permanent."""
        password = self._password()
        message = _message(notice, self._sender, self._recipients)
        try:
            refused = self._deliver(message, password)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise self._fault(error) from error
        self.missed = tuple(f"{who} was refused: {_said(code, text)}" for who, (code, text) in refused.items())

    def check(self) -> tuple[str, ...]:
        """What keeps its secrets from being used for a message, with what to do."""
        return spoiled(self._password, self._trust)

    def _password(self) -> str | None:
        file = self._server.password_file
        return only_secret(self._contact, file, "one password") if file is not None else None

    def _deliver(self, message: EmailMessage, password: str | None) -> dict[str, tuple[int, bytes]]:
        server, seconds = self._server, self._timeout.total_seconds()
        context = self._trust()
        # With a name of our own: the library's default asks the name service, which may hang.
        name = socket.gethostname()
        smtp = (
            smtplib.SMTP_SSL(local_hostname=name, timeout=seconds, context=context)
            if server.tls == "implicit"
            else smtplib.SMTP(local_hostname=name, timeout=seconds)
        )
        # Connected here and not by the constructor, so that a server which never ends its greeting is given up; TLS needs the name before that.
        smtp._host = server.host  # type: ignore[attr-defined]  # what the constructor would keep; the stubs leave it out
        with ends_within(self._timeout, lambda: smtp.sock):
            try:
                _checked(smtplib.SMTPConnectError, *smtp.connect(server.host, server.port))
                if server.tls == "starttls":
                    smtp.starttls(context=context)
                if server.username is not None and password is not None:
                    smtp.login(server.username, password)
                return smtp.send_message(message, self._sender, self._recipients)
            finally:
                # Without a farewell: whether the message was taken is known, and a server may keep one waiting for its answer to QUIT.
                smtp.close()

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._server.ca_file)
        except OSError as error:
            why = error.strerror or "no certificates"
            raise Permanent(f"contact {self._contact}: {self._server.ca_file} cannot be used ({why}); nothing was sent; correct ca_file") from error

    def _fault(self, error: Exception) -> AdapterError:
        at = f"contact {self._contact}: mail server {self._server.host}:{self._server.port}"
        match error:
            case smtplib.SMTPAuthenticationError():
                # Without the server's words, which may repeat what it was given, here and in a traceback.
                error.args = (error.smtp_code, "")
                return _by_code(error.smtp_code, f"{at} refused the login ({error.smtp_code})", "correct the user name or the password file")
            case smtplib.SMTPRecipientsRefused():
                codes = [code for code, _ in error.recipients.values()]
                said = ", ".join(f"{who}: {_said(code, text)}" for who, (code, text) in error.recipients.items())
                return _by_code(min(codes, default=500), f"{at} refused every recipient ({said})", "correct the addresses")
            case smtplib.SMTPResponseException():
                return _by_code(
                    error.smtp_code, f"{at} answered {_said(error.smtp_code, error.smtp_error)}", "ask its operator, or name another server"
                )
            case smtplib.SMTPException() if not isinstance(error, smtplib.SMTPServerDisconnected):
                advice = "choose another 'tls', or correct host and port"
                return Permanent(f"{at} does not offer what is configured ({one_line(str(error))}); it was not delivered; {advice}")
            case ValueError() if not isinstance(error, OSError):  # as a certificate's error is, too
                return Permanent(f"{at}: the login or an address holds what SMTP cannot carry; it was not delivered; correct the daemon's config")
            case _:
                why = getattr(error, "strerror", None) or type(error).__name__
                return Transient(f"{at} gave no answer ({why}); it is unknown whether it was delivered; it will be sent again")


def _checked(kind: Callable[[int, bytes], Exception], code: int, said: bytes) -> None:
    if code != 220:
        raise kind(code, said)


def _by_code(code: int, what: str, advice: str) -> AdapterError:
    """What begins with 4, or is no answer at all, may pass; 5 does not."""
    if code < 500:
        return Transient(f"{what}; it was not delivered; it will be sent again")
    return Permanent(f"{what}; it was not delivered; {advice}")


def _said(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(one_line(words).split())[:200]}".rstrip()


def _message(notice: Notice, sender: str, recipients: Sequence[str]) -> EmailMessage:
    place = sender.rpartition("@")[2]
    message = EmailMessage(policy=_POLICY)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    # A line break in a header would be another header: everything that goes into one is one line.
    message["Subject"] = cut(one_line(notice.title).strip(), _SUBJECT) or notice.kind
    message["Date"] = format_datetime(notice.at)
    message["Message-ID"] = f"<{_digest(notice.id)}@{place}>"
    # The thread's root is no message; mail programs put together what refers to the same one.
    message["References"] = f"<{_digest(notice.key)}.incident@{place}>"
    message["In-Reply-To"] = f"<{_digest(notice.key)}.incident@{place}>"
    message["Auto-Submitted"] = "auto-generated"
    message["Importance"] = "high" if notice.urgency == "page" and not notice.resolved else "normal"
    message["X-Rollbackd-Key"] = cut(one_line(notice.key).strip(), _SUBJECT)
    message["X-Rollbackd-Kind"] = cut(one_line(notice.kind).strip(), _SUBJECT)
    lines = fitted((notice.title, "", *notice.lines), _BODY, lambda line: len(line.encode()) + 2)
    message.set_content("\n".join(lines) + "\n")
    return message


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]
