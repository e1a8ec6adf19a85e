"""Numbers of things, in words for people."""


def counted(number: int, one: str, many: str = "") -> str:
    """``1 file``, ``2,000 files``, ``0 policies``; ``many``: the plural, where it is not ``one`` and an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
