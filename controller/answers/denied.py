"""What the daemon answers to a request that it does not carry out."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal


class Denied(Exception):
    """The request was not carried out. ``hint``: what to do instead. ``failed``: it was tried, and something here did not work."""

    def __init__(self, why: Literal["invalid", "unknown", "blocked", "failed"], message: str, hint: str = "") -> None:
        super().__init__(message)
        self.why = why
        self.hint = hint


FAULTY = "rollbackd status names the first of them, rollbackd check all; the daemon reads the file again once it is mended"
SAME = 0.85
"""So alike are a name and its misspelling; less alike is another name."""


def near(word: str, known: Iterable[str]) -> str:
    """What may have been meant, or what there is."""
    names = sorted(set(known))
    if close := difflib.get_close_matches(word, names, n=1, cutoff=0.5):
        return f"did you mean {close[0]}?"
    return _listed(names)


def near_policy(word: str, targets: Mapping[str, str]) -> str:
    """As ``near``, of policies by name, for whoever orders a write: the service is said, and a policy that is merely similar is not put forward."""
    if close := difflib.get_close_matches(word, sorted(targets), n=1, cutoff=SAME):
        return f"did you mean {close[0]}, which watches {targets[close[0]]}?"
    return _listed(sorted(targets))


def _listed(names: Sequence[str]) -> str:
    return f"known: {', '.join(names[:10])}{', …' if len(names) > 10 else ''}" if names else "no policies are loaded"
