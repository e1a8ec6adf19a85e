"""The channels of a contact: as written in the daemon's config, and as the daemon reads them. Secrets are files, never values."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias, assert_never

from pydantic import Field, Tag

from rollbackd.controller.config.leaves import FilePath, WebUrl
from rollbackd.controller.config.values import Alertmanager, Apprise, Channel, Email, PagerDuty, Slack, Teams, Webhook
from rollbackd.policies.documents.base import Text, Written, first_of
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.text.wording import describe_pattern
from rollbackd.policies.text.yaml_text import Path as Trail

_KINDS = ("pagerduty", "slack", "teams", "email", "webhook", "alertmanager", "apprise")
_LATER = ("opsgenie", "jsm")
_PORTS = {"starttls": 587, "implicit": 465, "none": 25}

# What stands in a mail's header must need no quoting there, and must not be able to begin another header.
_MAIL = describe_pattern(r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$", "a mail address such as a@b.example")
MailAddress: TypeAlias = Annotated[str, Field(pattern=_MAIL, max_length=254)]
_HOST = describe_pattern("^[A-Za-z0-9:][A-Za-z0-9.:-]{0,252}$", "a host name or an address")


class PagerDutyParts(Written):
    """A service in PagerDuty."""

    key_file: FilePath = Field(description="A file that holds the integration key of an Events API v2 integration.")
    url: WebUrl | None = Field(None, description="The address of the Events API. Default https://events.pagerduty.com.")


class SlackParts(Written):
    """A channel in Slack: an incoming webhook, or a bot's token and a channel."""

    url_file: FilePath | None = Field(None, description="A file that holds the address of an incoming webhook.")
    token_file: FilePath | None = Field(None, description="A file that holds a bot's token with the scope chat:write.")
    channel: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(None, description="The channel that the bot posts to.")
    api_url: WebUrl | None = Field(None, description="The address of Slack's Web API. Default https://slack.com/api.")


class TeamsParts(Written):
    """A workflow in Microsoft Teams."""

    url_file: FilePath = Field(description="A file that holds the address of a workflow.")


class EmailParts(Written):
    """A mail server, and who gets mail through it."""

    host: Annotated[str, Field(pattern=_HOST)] = Field(description="The mail server.")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(None, description="Its port. Default by tls: 587, 465, 25.")
    tls: Literal["starttls", "implicit", "none"] = Field("starttls", description="How it is encrypted; none is for this machine. Default starttls.")
    ca_file: FilePath | None = Field(None, description="A file with the certificates to trust.")
    sender: MailAddress = Field(alias="from", description="Whom the mail is from.")
    to: Annotated[list[MailAddress], Field(min_length=1, max_length=50)] = Field(description="Who gets it.")
    username: Text | None = Field(None, description="The name to log in with.")
    password_file: FilePath | None = Field(None, description="A file that holds the password.")


class WebhookParts(Written):
    """A receiver of JSON."""

    url: WebUrl | None = Field(None, description="Its address, where that is no secret.")
    url_file: FilePath | None = Field(None, description="A file that holds its address.")
    secret_file: FilePath | None = Field(None, description="A file that holds the secret that signs every message.")


class AlertmanagerParts(Written):
    """The instances of an Alertmanager."""

    urls: Annotated[list[WebUrl], Field(min_length=1)] = Field(description="All of its instances.")


class AppriseParts(Written):
    """Whatever apprise speaks."""

    urls_file: FilePath = Field(description="A file that holds apprise's addresses, one a line.")


class _Item(Written):
    siblings: ClassVar[frozenset[str]] = frozenset(_KINDS)
    later: ClassVar[Mapping[str, str]] = dict.fromkeys(_LATER, "")


class PagerDutyItem(_Item):
    """A PagerDuty channel."""

    pagerduty: PagerDutyParts = Field(description="A service in PagerDuty.")


class SlackItem(_Item):
    """A Slack channel."""

    slack: SlackParts = Field(description="A channel in Slack.")


class TeamsItem(_Item):
    """A Teams channel."""

    teams: TeamsParts = Field(description="A workflow in Microsoft Teams.")


class EmailItem(_Item):
    """A mail channel."""

    email: EmailParts = Field(description="A mail server, and who gets mail through it.")


class WebhookItem(_Item):
    """A webhook channel."""

    webhook: WebhookParts = Field(description="A receiver of JSON.")


class AlertmanagerItem(_Item):
    """An Alertmanager channel."""

    alertmanager: AlertmanagerParts = Field(description="An Alertmanager.")


class AppriseItem(_Item):
    """An apprise channel."""

    apprise: AppriseParts = Field(description="Whatever apprise speaks.")


ChannelItem: TypeAlias = Annotated[
    Annotated[PagerDutyItem, Tag("<pagerduty>")]
    | Annotated[SlackItem, Tag("<slack>")]
    | Annotated[TeamsItem, Tag("<teams>")]
    | Annotated[EmailItem, Tag("<email>")]
    | Annotated[WebhookItem, Tag("<webhook>")]
    | Annotated[AlertmanagerItem, Tag("<alertmanager>")]
    | Annotated[AppriseItem, Tag("<apprise>")],
    first_of(*_KINDS),
]


def channels(items: Sequence[ChannelItem], findings: Findings, trail: Trail, absolute: Callable[[str], Path]) -> tuple[Channel, ...]:
    """The channels of one contact; what is wrong beyond their form is among the findings."""
    if all(isinstance(item, AppriseItem) for item in items):
        findings.fault(
            trail, "a channel beside apprise", "apprise alone", "it cannot say why it failed, nor resolve a page: name another channel too"
        )
    return tuple(_Reading(findings, (*trail, index), absolute).channel(item) for index, item in enumerate(items))


@dataclass(frozen=True, slots=True)
class _Reading:
    findings: Findings
    trail: Trail
    absolute: Callable[[str], Path]

    def channel(self, item: ChannelItem) -> Channel:
        match item:
            case PagerDutyItem():
                return PagerDuty(self.absolute(item.pagerduty.key_file), item.pagerduty.url)
            case SlackItem():
                return self._slack(item.slack)
            case TeamsItem():
                return Teams(self.absolute(item.teams.url_file))
            case EmailItem():
                return self._email(item.email)
            case WebhookItem():
                return self._webhook(item.webhook)
            case AlertmanagerItem():
                return Alertmanager(tuple(item.alertmanager.urls))
            case AppriseItem():
                return Apprise(self.absolute(item.apprise.urls_file))
            case _:
                assert_never(item)

    def _slack(self, parts: SlackParts) -> Slack:
        trail, expected = (*self.trail, "slack"), "either 'url_file', or 'token_file' and 'channel'"
        if (parts.url_file is None) == (parts.token_file is None):
            self.findings.fault(trail, expected, "both files" if parts.url_file else "no file")
        elif (parts.token_file is None) != (parts.channel is None):
            self.findings.fault(trail, expected, "'url_file' and 'channel'" if parts.channel else "'token_file' alone")
        elif parts.url_file is not None and parts.api_url is not None:
            self.findings.fault((*trail, "api_url"), "it beside 'token_file'", "it beside 'url_file'", "an incoming webhook has its own address")
        return Slack(self._file(parts.url_file), self._file(parts.token_file), parts.channel, parts.api_url)

    def _email(self, parts: EmailParts) -> Email:
        trail = (*self.trail, "email")
        if (parts.username is None) != (parts.password_file is None):
            self.findings.fault(trail, "both 'username' and 'password_file', or neither", "one of them")
        if parts.tls == "none" and not _is_here(parts.host):
            self.findings.fault(
                (*trail, "tls"), "starttls or implicit", "'none'", "plain text is for a relay on this machine: host 127.0.0.1 or localhost"
            )
        return Email(
            host=parts.host,
            port=parts.port or _PORTS[parts.tls],
            tls=parts.tls,
            sender=parts.sender,
            recipients=tuple(parts.to),
            username=parts.username,
            password_file=self._file(parts.password_file),
            ca_file=self._file(parts.ca_file),
        )

    def _webhook(self, parts: WebhookParts) -> Webhook:
        if (parts.url is None) == (parts.url_file is None):
            self.findings.fault((*self.trail, "webhook"), "either 'url' or 'url_file'", "both" if parts.url else "neither")
        return Webhook(parts.url, self._file(parts.url_file), self._file(parts.secret_file))

    def _file(self, text: str | None) -> Path | None:
        return self.absolute(text) if text is not None else None


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
