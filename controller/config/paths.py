"""Every file that a part of the config names, with where it stands."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path


def paths_in(value: object, trail: str = "") -> Iterator[tuple[str, Path]]:
    """Every path in the config, with where it stands."""
    if isinstance(value, Path):
        yield trail, value
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from paths_in(getattr(value, field.name), f"{trail}.{field.name}".lstrip("."))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from paths_in(item, f"{trail}.{name}")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from paths_in(item, f"{trail}[{index}]")
