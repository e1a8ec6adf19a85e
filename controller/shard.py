"""Which targets are this daemon's, where a fleet is split statically over several."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``number`` of ``count``, counted from 0. A target is of the same part on every machine; all policies that watch it go with it."""

    number: int = 0
    count: int = 1

    def has(self, target: str) -> bool:
        """Is the target of this part?"""
        digest = hashlib.sha256(target.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number


WHOLE = Shard()
"""All targets."""


def shard_of(text: str) -> Shard:
    """The part that ``2/5`` names. Raises ValueError with what to write."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise ValueError(f"expected NUMBER/COUNT such as 2/5, with numbers from 0 to COUNT - 1, found {text!r}")
    return Shard(int(number), int(count))
