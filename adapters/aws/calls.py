"""The API calls that an adapter may make. What is not declared here is not sent, and the IAM documents are made of it."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of one service. ``resources``: the ARNs that its permission is needed on, with REGION, ACCOUNT and the like as blanks;
    ``*`` where Amazon knows no narrower one. ``action``: the permission, where it is not called as the operation.

    ``writes``: it changes something. ``opt_in``: the key of the config without which it is never sent. ``conditions``: the condition of the
    permission, as IAM spells it: operator, key, value.
    """

    service: str
    operation: str
    resources: tuple[str, ...] = ("*",)
    writes: bool = False
    opt_in: str = ""
    action: str = ""
    conditions: tuple[tuple[str, str, str], ...] = ()

    @property
    def permission(self) -> str:
        """The IAM action."""
        return self.action or f"{self.service}:{self.operation}"

    def __str__(self) -> str:
        return f"{self.service} {self.operation}"


@dataclass(frozen=True, slots=True)
class Extra:
    """A permission that a declared call needs beside its own, such as iam:PassRole."""

    permission: str
    resources: tuple[str, ...]
    opt_in: str = ""
    conditions: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Declared:
    """All that the adapter ``name`` may call. ``denied``: permissions that its role is to be refused by name, whatever else it holds."""

    name: str
    calls: frozenset[Call]
    extra: tuple[Extra, ...] = ()
    denied: tuple[str, ...] = ()


def declare(name: str, calls: Iterable[Call], *, extra: Iterable[Extra] = (), denied: Iterable[str] = ()) -> Declared:
    """The declaration of an adapter."""
    return Declared(name, frozenset(calls), tuple(extra), tuple(denied))


ASSUME_ROLE = Call("sts", "AssumeRole", ("arn:aws:iam::ACCOUNT:role/ROLE",))
GET_CALLER_IDENTITY = Call("sts", "GetCallerIdentity")
