"""E-mail through a real SMTP server on loopback: encryption, login, threads, and what a server may refuse."""

import subprocess
import traceback
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.mail import Mail, MailServer
from tests import servers
from tests.adapters.notices import ATTACK, HELD, HOSTILE, RECOVERED, STARTED
from tests.doubles.dripper import dripping
from tests.doubles.mailbox import PASSWORD, USER, mailbox, server_context

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
ADA, BOB = "ada@shop.example", "bob@shop.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    argv = [servers.binary("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mail.test"]
    argv += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(file), "-out", str(file.with_suffix(".crt"))]
    subprocess.run(argv, check=True, capture_output=True)
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


def mail(port: int, *, to: tuple[str, ...] = (ADA,), **server: Any) -> Mail:
    return Mail("oncall", MailServer("127.0.0.1", port, **{"tls": "none", **server}), sender="rollbackd@shop.example", recipients=to)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    return tmp_path / "password"


def test_a_mail_says_who_what_when_and_how_urgent() -> None:
    with mailbox() as box:
        mail(box.port, to=(ADA, BOB)).send(HELD)
    (message,) = box.mails
    assert box.recipients == [[ADA, BOB]]
    assert {name: message[name] for name in ("From", "To", "Subject", "Date", "Importance", "Auto-Submitted", "X-Rollbackd-Key")} == {
        "From": "rollbackd@shop.example",
        "To": f"{ADA}, {BOB}",
        "Subject": HELD.title,
        "Date": "Sun, 01 Mar 2026 12:00:00 +0000",
        "Importance": "high",
        "Auto-Submitted": "auto-generated",
        "X-Rollbackd-Key": "inc-1",
    }
    assert message.get_content().splitlines() == [HELD.title, "", *HELD.lines]


def test_all_mail_of_an_incident_is_one_thread_and_a_mail_sent_again_is_the_same_mail() -> None:
    with mailbox() as box:
        sender = mail(box.port)
        for notice in (STARTED, HELD, HELD, replace(HELD, id="other", key="inc-2")):
            sender.send(notice)
    started, held, again, other = box.mails
    assert started["References"] == held["References"] != other["References"]
    assert started["Message-ID"] != held["Message-ID"] == again["Message-ID"]
    assert held["In-Reply-To"] == held["References"]


@pytest.mark.parametrize("length", [60, 200])
def test_a_long_domain_breaks_no_thread(length: int) -> None:
    domain = ".".join(("d" * 49,) * 4)[-length + 8 :] + ".example"
    with mailbox() as box:
        sender = Mail("oncall", MailServer("127.0.0.1", box.port, "none"), sender=f"rollbackd@{domain}", recipients=(ADA,))
        sender.send(STARTED)
        sender.send(HELD)
    assert len(domain) == length
    lines = [[line for line in raw.decode().splitlines() if line.startswith(("References: ", "In-Reply-To: "))] for raw in box.raw]
    assert lines[0] == lines[1]
    assert [line.partition("@")[2] for line in lines[0]] == [f"{domain}>"] * 2


def test_a_notice_that_needs_nobody_is_of_normal_importance() -> None:
    with mailbox() as box:
        mail(box.port).send(RECOVERED)
    assert box.mails[0]["Importance"] == "normal"


def test_a_line_break_in_a_name_begins_no_header() -> None:
    with mailbox() as box:
        mail(box.port).send(HOSTILE)
    (message,) = box.mails
    assert box.recipients == [[ADA]]
    assert message["Bcc"] is None
    assert "Bcc: evil@x.example" in message["Subject"]
    assert f"why: pod {ATTACK}" in message.get_content()


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_mail_is_encrypted_for_a_server_that_is_trusted(tls: str, certificate: Path, password: Path) -> None:
    context = server_context(certificate, certificate)
    with mailbox(**{tls: context}, login=tls == "starttls") as box:
        login: dict[str, Any] = {"username": USER, "password_file": password} if tls == "starttls" else {}
        mail(box.port, tls=tls, ca_file=certificate.with_suffix(".crt"), **login).send(HELD)
    assert (len(box.raw), box.encrypted) == (1, [True])


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_nothing_is_sent_to_a_server_that_is_not_trusted(tls: str, certificate: Path) -> None:
    with mailbox(**{tls: server_context(certificate, certificate)}) as box, pytest.raises(Transient, match="gave no answer"):
        mail(box.port, tls=tls).send(HELD)
    assert box.raw == []


def test_a_server_that_offers_no_encryption_gets_neither_password_nor_mail(password: Path) -> None:
    with mailbox() as box, pytest.raises(Permanent, match=r"does not offer what is configured .*STARTTLS"):
        mail(box.port, tls="starttls", username=USER, password_file=password).send(HELD)
    assert box.raw == []


def test_a_wrong_password_is_permanent_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a-wrong-one")
    with mailbox(login=True) as box, pytest.raises(Permanent, match=r"refused the login \(535\); .*correct the user name or the password") as failed:
        mail(box.port, username=USER, password_file=tmp_path / "password").send(HELD)
    assert "a-wrong-one" not in "".join(traceback.format_exception(failed.value))


def test_a_recipient_that_is_refused_keeps_no_other_from_the_mail() -> None:
    with mailbox() as box:
        box.refuses[BOB] = "550 5.1.1 no such user"
        sender = mail(box.port, to=(ADA, BOB))
        sender.send(HELD)
        assert box.recipients == [[ADA]]
        assert sender.missed == ("bob@shop.example was refused: 550 5.1.1 no such user",)
        box.refuses.clear()
        sender.send(HELD)
        assert sender.missed == ()


@pytest.mark.parametrize(("answers", "kind"), [(("550 no", "550 no"), Permanent), (("550 no", "451 later"), Transient)], ids=["for-good", "for-now"])
def test_a_mail_that_nobody_may_get_has_failed(answers: tuple[str, str], kind: type[Exception]) -> None:
    with mailbox() as box:
        box.refuses.update(zip((ADA, BOB), answers, strict=True))
        with pytest.raises(kind, match=r"refused every recipient \(ada@shop.example: 550 no, bob@shop.example: "):
            mail(box.port, to=(ADA, BOB)).send(HELD)


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=f"{tmp_path}/none cannot be used"):
        mail(1, tls="implicit", ca_file=tmp_path / "none").send(HELD)


def test_a_server_that_greets_with_a_refusal_is_judged_by_its_code() -> None:
    for first, kind in ((b"554 no service here\r\n", Permanent), (b"421 too busy\r\n", Transient)):
        with dripping(first, rest=b"") as port, pytest.raises(kind, match=first.decode().strip()):
            mail(port).send(HELD)


def test_an_encrypted_server_that_says_a_byte_at_a_time_is_given_up(certificate: Path) -> None:
    with dripping(b"220 ", tls=server_context(certificate, certificate)) as port:
        server = MailServer("127.0.0.1", port, "implicit", ca_file=certificate.with_suffix(".crt"))
        sender = Mail("oncall", server, sender="rollbackd@shop.example", recipients=[ADA], timeout=timedelta(seconds=0.4))
        with pytest.raises(Transient, match="gave no answer"):
            sender.send(HELD)


def test_a_server_that_offers_no_login_is_permanent(password: Path) -> None:
    with mailbox() as box, pytest.raises(Permanent, match="does not offer what is configured"):
        mail(box.port, username=USER, password_file=password).send(HELD)
