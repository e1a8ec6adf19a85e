"""People whom a Kubernetes cluster knows: it says who a token belongs to, and whether they may do what they ask for."""

import hashlib
import time
from collections.abc import Callable
from threading import BoundedSemaphore, Lock
from typing import Protocol

from rollbackd.adapters.base.errors import AdapterError

GROUP, RESOURCE = "rollbackd.io", "rollbacks"
KEPT = 10.0
"""Seconds that an answer of the cluster holds: a right that was taken away holds as much longer."""
MOST_KEPT = 1000
AT_ONCE = 4
"""So many questions to the cluster at a time: whoever floods us with tokens must not flood it."""
LONGEST_TOKEN = 8192


class Reviewer(Protocol):
    """A cluster that can be asked about people."""

    def allowed(self, token: str, verb: str, group: str, resource: str, namespace: str) -> tuple[str, bool] | None:
        """The token's user and whether they hold the right; None for a token that is not the cluster's. Raises AdapterError."""
        ...


class Unanswered(Exception):
    """The cluster could not be asked: nobody is let in on a guess."""


class ClusterPeople:
    """Safe to use from several threads; blocks while the cluster is asked."""

    def __init__(self, reviewer: Reviewer, namespace: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._reviewer = reviewer
        self._namespace = namespace
        self._monotonic = monotonic
        self._asking = BoundedSemaphore(AT_ONCE)
        self._lock = Lock()
        self._kept: dict[bytes, tuple[float, tuple[str, bool] | None]] = {}

    def speaker(self, authorization: bytes, verb: str) -> tuple[str, bool] | None:
        """Who asks, as ``kubernetes:USER``, and whether they may; None for a token that is not the cluster's. Raises Unanswered."""
        scheme, _, token = authorization.partition(b" ")
        # Kubernetes' tokens are JWTs; what cannot be one is not worth a question.
        if scheme != b"Bearer" or token.count(b".") != 2 or len(token) > LONGEST_TOKEN or not token.isascii():
            return None
        key = hashlib.sha256(token + b"\0" + verb.encode()).digest()
        with self._lock:
            until, known = self._kept.get(key, (0.0, None))
        if self._monotonic() < until:
            return known
        found = self._asked(token.decode(), verb)
        self._keep(key, found)
        return found

    def _asked(self, token: str, verb: str) -> tuple[str, bool] | None:
        if not self._asking.acquire(blocking=False):
            raise Unanswered("too many tokens are being looked at; try again")
        try:
            answer = self._reviewer.allowed(token, verb, GROUP, RESOURCE, self._namespace)
        except AdapterError as fault:
            raise Unanswered(f"the cluster could not be asked who you are: {fault}") from fault
        finally:
            self._asking.release()
        # With the word in front nobody of the cluster can have the name of somebody in api.people.
        return None if answer is None else (f"kubernetes:{answer[0]}", answer[1])

    def _keep(self, key: bytes, found: tuple[str, bool] | None) -> None:
        now = self._monotonic()
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = (now + KEPT, found)
