"""What the runner of mutants is tried on: every fault in it is told by its tests but one that changes nothing, and those that no test runs."""

LARGEST = 9


def clamped(value: int) -> int:
    """The value, and the largest where it is larger."""
    if value > LARGEST:
        return LARGEST
    return value


def unasked(value: int) -> int:
    """What no test asks for."""
    return value + LARGEST
