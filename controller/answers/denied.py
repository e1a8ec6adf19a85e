"""What the daemon answers to a request that it does not carry out."""

import difflib
from collections.abc import Iterable
from typing import Literal


class Denied(Exception):
    """The request was not carried out. ``hint``: what to do instead."""

    def __init__(self, why: Literal["invalid", "unknown", "blocked"], message: str, hint: str = "") -> None:
        super().__init__(message)
        self.why = why
        self.hint = hint


def near(word: str, known: Iterable[str]) -> str:
    """What may have been meant, or what there is."""
    names = sorted(set(known))
    if close := difflib.get_close_matches(word, names, n=1, cutoff=0.5):
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(names[:10])}{', …' if len(names) > 10 else ''}" if names else "no policies are loaded"
