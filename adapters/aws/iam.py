"""The IAM documents of the adapters, made of the calls that they declare: what is not called is not asked for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from rollbackd.adapters.aws.calls import ASSUME_ROLE, Call, Declared, Extra
from rollbackd.adapters.base.target import Json

Document: TypeAlias = Mapping[str, Json]
Granted: TypeAlias = Call | Extra


def policy(declared: Declared, *, opt_in: str = "") -> Document:
    """The permissions of an adapter's calls; those of its opt-in where ``opt_in`` names it, else those of every day."""
    granted = [item for item in _granted(declared) if item.opt_in == opt_in]
    statements = _statements(granted)
    if declared.denied and not opt_in:
        statements.append({"Sid": "Never", "Effect": "Deny", "Action": sorted(declared.denied), "Resource": "*"})
    return {"Version": "2012-10-17", "Statement": statements}


def entering() -> Document:
    """What the daemon's own identity needs: to assume the roles, and nothing else."""
    return {"Version": "2012-10-17", "Statement": _statements([ASSUME_ROLE])}


def trust() -> Document:
    """The trust policy of a role that is assumed: by the daemon alone, with the external id of the config."""
    condition: Document = {"StringEquals": {"sts:ExternalId": "EXTERNAL_ID"}}
    statement: Document = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::DAEMON_ACCOUNT:role/DAEMON_ROLE"},
        "Action": "sts:AssumeRole",
        "Condition": condition,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def documents(every: Sequence[Declared]) -> Mapping[str, Document]:
    """Every document by its file name."""
    found: dict[str, Document] = {"daemon.json": entering(), "trust.json": trust()}
    for declared in every:
        found[f"{declared.name}.json"] = policy(declared)
        for key in sorted({item.opt_in for item in _granted(declared)} - {""}):
            found[f"{declared.name}-{key}.json"] = policy(declared, opt_in=key)
    return found


def _granted(declared: Declared) -> tuple[Granted, ...]:
    return (*declared.calls, *declared.extra)


def _statements(granted: Iterable[Granted]) -> list[Document]:
    """One statement for all permissions on the same resources under the same conditions; reads and writes apart, so that either can be left out."""
    grouped: dict[tuple[bool, tuple[str, ...], tuple[tuple[str, str, str], ...]], set[str]] = {}
    for item in granted:
        writes = isinstance(item, Extra) or item.writes
        grouped.setdefault((writes, item.resources, item.conditions), set()).add(item.permission)
    return [
        _statement(number, writes, sorted(actions), resources, conditions)
        for number, ((writes, resources, conditions), actions) in enumerate(sorted(grouped.items()), start=1)
    ]


def _statement(number: int, writes: bool, actions: list[str], resources: tuple[str, ...], conditions: tuple[tuple[str, str, str], ...]) -> Document:
    made: dict[str, Json] = {"Sid": f"{'Write' if writes else 'Read'}{number}", "Effect": "Allow", "Action": actions}
    made["Resource"] = "*" if resources == ("*",) else list(resources)
    if conditions:
        operators = dict.fromkeys(operator for operator, _, _ in conditions)
        made["Condition"] = {each: {key: value for operator, key, value in conditions if operator == each} for each in operators}
    return made
