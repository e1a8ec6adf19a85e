"""What two task definitions differ in, in lines for people. Values of environment variables and commands stay out: they may be secrets."""

from rollbackd.adapters.aws.ecs.objects import Raw

_SHOWN = ("cpu", "memory", "memoryReservation", "essential")
_OF_TASK = ("cpu", "memory", "taskRoleArn", "executionRoleArn", "networkMode")
_APART = frozenset({"name", "image", "environment", *_SHOWN})


def differences(before: Raw, after: Raw) -> tuple[str, ...]:
    """One line for each difference, in a fixed order."""
    old, new = _by_name(before), _by_name(after)
    lines = [f"container {name}: removed (image {old[name].get('image')})" for name in sorted(old.keys() - new.keys())]
    lines += [f"container {name}: added (image {new[name].get('image')})" for name in sorted(new.keys() - old.keys())]
    for name in sorted(old.keys() & new.keys()):
        lines += [f"container {name}: {line}" for line in _container(old[name], new[name])]
    return (*lines, *(f"task {key} {before.get(key)} -> {after.get(key)}" for key in _OF_TASK if before.get(key) != after.get(key)))


def _by_name(definition: Raw) -> dict[str, Raw]:
    return {container["name"]: container for container in definition.get("containerDefinitions") or []}


def _container(old: Raw, new: Raw) -> list[str]:
    lines = [f"image {old.get('image')} -> {new.get('image')}"] if old.get("image") != new.get("image") else []
    before, after = _variables(old), _variables(new)
    for word, names in (
        ("removed", before.keys() - after.keys()),
        ("added", after.keys() - before.keys()),
        ("changed", {name for name in before.keys() & after.keys() if before[name] != after[name]}),
    ):
        lines += [f"environment {word}: {', '.join(sorted(names))}"] if names else []
    lines += [f"{key} {old.get(key)} -> {new.get(key)}" for key in _SHOWN if old.get(key) != new.get(key)]
    return lines + [f"{key} changed" for key in sorted((old.keys() | new.keys()) - _APART) if old.get(key) != new.get(key)]


def _variables(container: Raw) -> dict[str, str]:
    return {item["name"]: item.get("value", "") for item in container.get("environment") or []}
