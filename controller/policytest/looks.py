"""What one look of a test saw and led to."""

from dataclasses import dataclass
from datetime import timedelta

from rollbackd.policies.judge.verdict import State


@dataclass(frozen=True, slots=True)
class Standing:
    """How a policy stands: its decision in a word, and why. ``remedy``: the rung that was tried last; ``guard``: what holds the incident."""

    word: str
    reason: str
    remedy: str | None = None
    to: str | None = None
    guard: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """One slot: each condition's verdict with its arithmetic, how the policy stands after it, and what was said in it."""

    at: timedelta
    states: tuple[State, ...]
    reasons: tuple[str, ...]
    standing: Standing
    said: tuple[str, ...]
