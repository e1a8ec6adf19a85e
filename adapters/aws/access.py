"""The accounts as an adapter calls them: declared calls only, reads asked again for a while, writes sent once and by the right account."""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from rollbackd.adapters.aws.account import Account, account_of
from rollbackd.adapters.aws.calls import GET_CALLER_IDENTITY, Call, Declared, declare
from rollbackd.adapters.aws.failures import Expired, Sent, WrongAccount, failure
from rollbackd.adapters.aws.sessions import READER, Sessions
from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.shape import shaped

Answer = dict[str, Any]
PATIENCE = timedelta(seconds=8)
"""How long a read is asked again while it is throttled or unanswered."""


class Aws:
    """All accounts of the config. Nothing is sent, and the SDK is not imported, before the first call. Safe to use from several threads."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        *,
        now: Callable[[], datetime],
        timeout: tuple[float, float] = (3.0, 10.0),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``timeout``: seconds to connect, seconds to wait for an answer."""
        self.accounts = dict(accounts)
        self._sessions = {name: Sessions(account, now, timeout) for name, account in accounts.items()}
        self._sleep = sleep

    def caller(self, account: str, region: str, declared: Declared, *, asker: str, patience: timedelta = PATIENCE) -> "Caller":
        """What calls that account in that region for one adapter. ``asker``: the key on whose behalf, for messages. Raises Permanent."""
        found = account_of(self.accounts, account, region, asker)
        return Caller(found, region, declared, self._sessions[account], patience, self._sleep)

    def identify(self, account: str, region: str) -> str:
        """The ARN that we act as there. Raises WrongAccount, Transient or Permanent."""
        return self.caller(account, region, declare("identity", ()), asker=f"account {account}").identify()


class Caller:
    """The declared calls of one adapter, in one account and region. Raises Transient, Permanent or Refused, and nothing else."""

    def __init__(
        self, account: Account, region: str, declared: Declared, sessions: Sessions, patience: timedelta, sleep: Callable[[float], None]
    ) -> None:
        self.account = account
        self.region = region
        self._declared = declared
        self._sessions = sessions
        self._patience = patience
        self.sleep = sleep

    def elsewhere(self, region: str) -> "Caller":
        """The same in another region of the account's partition: a service may keep what it needs there."""
        return Caller(self.account, region, self._declared, self._sessions, self._patience, self.sleep)

    def read(self, call: Call, **parameters: Any) -> Answer:
        """The answer to a call that changes nothing; asked again, with growing pauses, while it is throttled or not answered."""
        if call.writes:
            raise Permanent(f"{call} is declared as a write and was not sent; this is a bug of rollbackd.")
        return self._patiently(Sent(self.account, self.region, call, parameters), READER)

    def pages(self, call: Call, *, given: str = "nextToken", asked: str = "nextToken", **parameters: Any) -> Iterator[Answer]:
        """The answers of a call that answers page by page: what an answer gives as ``given`` is asked with as ``asked``."""
        while True:
            page = self.read(call, **parameters)
            yield page
            if not (more := page.get(given)):
                return
            parameters[asked] = more

    def write(self, call: Call, incident: str, **parameters: Any) -> Answer:
        """The answer to a change, sent once, in the incident's name, once our credentials are proven to be of the configured account.

        Throttled and Expired mean that it was not done, and after Expired credentials are fetched anew; any other Transient that nobody knows.
        """
        if not call.writes:
            raise Permanent(f"{call} is declared as a read and was not sent; this is a bug of rollbackd.")
        self.prove(incident)
        return self._send(Sent(self.account, self.region, call, parameters), incident)

    def prove(self, session: str) -> None:
        """Our credentials are of the configured account. Asked once for each access key: a key is of one account for ever. Raises as identify."""
        key = self._sessions.key(self.region, session)
        if key is None or not self._sessions.is_proven(key, session):
            self.identify(session)
            self._sessions.prove(key, self.region, session)

    def identify(self, session: str = READER) -> str:
        """The ARN that we act as there. Raises WrongAccount if it is of another account than the config says."""
        asked = Sent(self.account, self.region, GET_CALLER_IDENTITY)
        answer = self._patiently(asked, session)
        with shaped(str(asked)):
            found, arn = str(answer["Account"]), str(answer["Arn"])
        if found != self.account.id:
            advice = f"Correct the id or the role of account {self.account.name} in the daemon's config. By hand: {asked.command}"
            what = f"our credentials for account {self.account.name} are of account {found} ({arn}) and not of {self.account.id}"
            raise WrongAccount(f"{what}. Nothing was changed.", advice=advice)
        return arn

    def _patiently(self, sent: Sent, session: str) -> Answer:
        from tenacity import Retrying, retry_if_exception_type, stop_before_delay, wait_random_exponential

        asking = Retrying(
            stop=stop_before_delay(self._patience.total_seconds()),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            retry=retry_if_exception_type(Transient),
            sleep=self.sleep,
            reraise=True,
        )
        return asking(self._send, sent, session)

    def _send(self, sent: Sent, session: str) -> Answer:
        self._check(sent.call)
        try:
            return self._sent(sent, session)
        except Expired:
            # Refused at the door, so nothing was done: asking again with credentials fetched anew is safe; they may have been rotated.
            self._sessions.forget()
            if sent.call.writes:
                raise  # fetching them takes time that the look before a write grows old by: who looked has to look again
            return self._sent(sent, session)

    def _sent(self, sent: Sent, session: str) -> Answer:
        from botocore import xform_name
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        client = self._sessions.client(sent.region, sent.call.service, session)
        try:
            answer: Answer = getattr(client, xform_name(sent.call.operation))(**sent.parameters)
        except (ClientError, BotoCoreError, ResponseParserError) as fault:  # the last one is of an answer that was cut, and no kind of the others
            raise failure(sent, fault) from fault
        return answer

    def _check(self, call: Call) -> None:
        if call not in self._declared.calls and call != GET_CALLER_IDENTITY:
            raise Permanent(f"{call} is not among the declared calls of adapter {self._declared.name} and was not sent; this is a bug of rollbackd.")
