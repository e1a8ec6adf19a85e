"""From a contact in the config to what reaches people."""

from collections.abc import Sequence
from typing import assert_never

from rollbackd.adapters.base.notice import Notifier
from rollbackd.controller.clock import now
from rollbackd.controller.config import values
from rollbackd.controller.logs import Secrets


def notifiers(contact: str, channels: Sequence[values.Channel], secrets: Secrets) -> tuple[Notifier, ...]:
    """What the contact is reached by, in the order of the config. Raises AdapterError where a channel can reach nobody."""
    return tuple(_notifier(contact, channel, secrets) for channel in channels)


def kind_of(channel: values.Channel) -> str:
    """What the channel is called in the config."""
    return type(channel).__name__.lower()


def _notifier(contact: str, config: values.Channel, secrets: Secrets) -> Notifier:
    match config:
        case values.PagerDuty():
            from rollbackd.adapters.pagerduty import PAGERDUTY, PagerDuty

            return PagerDuty(contact, config.key_file, now=now, url=config.url or PAGERDUTY)
        case values.Slack():
            from rollbackd.adapters.slack import SLACK_API, Slack

            api = config.api_url or SLACK_API
            return Slack(contact, now=now, url_file=config.url_file, token_file=config.token_file, channel=config.channel, api_url=api)
        case values.Teams():
            from rollbackd.adapters.teams import Teams

            return Teams(contact, config.url_file, now=now)
        case values.Email():
            return _mail(contact, config)
        case values.Webhook():
            from rollbackd.adapters.webhook import Webhook

            if config.url is not None:
                secrets.add_url(config.url)
            return Webhook(contact, now=now, url=config.url, url_file=config.url_file, secret_file=config.secret_file)
        case values.Alertmanager():
            from rollbackd.adapters.alertmanager import Alertmanager

            return Alertmanager(contact, config.urls, now=now)
        case values.Apprise():
            from rollbackd.adapters.apprise import Apprise

            return Apprise(contact, config.urls_file)
        case _:
            assert_never(config)


def _mail(contact: str, config: values.Email) -> Notifier:
    from rollbackd.adapters.mail import Mail, MailServer

    server = MailServer(config.host, config.port, config.tls, config.username, config.password_file, config.ca_file)
    return Mail(contact, server, sender=config.sender, recipients=config.recipients)
