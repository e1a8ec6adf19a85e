"""The three words in which an adapter fails. Nothing else may leave an adapter."""

from typing import Self


class AdapterError(Exception):
    """What happened, what was not done and what to do now, in one or two sentences without secrets."""

    def bare(self) -> Self:
        """The same without where it came from: as an answer it would keep what failed alive, often in a circle that only a full collection ends."""
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self


class Transient(AdapterError):
    """It may work later; for a write it means that the outcome is unknown and must be read.

    ``retry_after`` is the other side's wish in seconds, where it named one. ``is_answer``: the other side is there and refuses us, until people mend
    that (a token, a login page).
    """

    def __init__(self, message: str, *, retry_after: float | None = None, is_answer: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_answer = is_answer


class Permanent(AdapterError):
    """It will not work by repeating it; for a write it means that nothing was changed."""


class Refused(AdapterError):
    """It would be unsafe, so nothing was changed. ``advice`` says what a person can do instead."""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice
