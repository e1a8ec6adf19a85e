"""What two pod templates differ in, in lines for people.

Values of environment variables, commands, annotations, and headers and queries of probes stay out: they may be secrets.
"""

import json
from typing import Any

from rollbackd.adapters.kubernetes.objects import Raw, bare, containers, images

_SHOWN = ("resources", "ports", "imagePullPolicy")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_KINDS = frozenset(("exec", "grpc", "httpGet", "tcpSocket"))
_TIMINGS = frozenset(
    ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold", "terminationGracePeriodSeconds")
)


def differences(before: Raw, after: Raw) -> tuple[str, ...]:
    """One line for each difference, in a fixed order."""
    old, new = _by_name(before), _by_name(after)
    lines = [f"container {name}: removed (image {old[name].get('image')})" for name in sorted(old.keys() - new.keys())]
    lines += [f"container {name}: added (image {new[name].get('image')})" for name in sorted(new.keys() - old.keys())]
    for name in sorted(old.keys() & new.keys()):
        lines += [f"container {name}: {line}" for line in _container(old[name], new[name])]
    return (*lines, *_metadata(before, after), *_pod(before, after))


def _by_name(template: Raw) -> dict[str, Raw]:
    return {container["name"]: container for container in containers(template)}


def _container(old: Raw, new: Raw) -> list[str]:
    lines = []
    if old.get("image") != new.get("image"):
        lines.append(f"image {old.get('image')} -> {new.get('image')}")
    lines += _names("env", _variables(old), _variables(new))
    for key in sorted((old.keys() | new.keys()) - {"name", "image", "env"}):
        if old.get(key) != new.get(key):
            lines.append(f"{key} {_changed(key, old.get(key), new.get(key))}")
    return lines


def _changed(key: str, old: Any, new: Any) -> str:
    if key in _SHOWN:
        return f"{_text(old)} -> {_text(new)}"
    if key not in _PROBES or _shown(old) == _shown(new):
        return "changed"
    rest = "" if _hidden(old) == _hidden(new) else ", the rest changed"
    return f"{_text(_shown(old))} -> {_text(_shown(new))}{rest}"


def _shown(probe: Raw | None) -> Raw | None:
    """What cannot be secret: its timings, and of how it asks the kind, the port and the path."""
    if probe is None:
        return None
    asks = {kind: _asked(probe[kind] or {}) for kind in _KINDS if kind in probe}
    return asks | {key: probe[key] for key in _TIMINGS if key in probe}


def _asked(how: Raw) -> Raw:
    path = {"path": str(how["path"]).partition("?")[0]} if how.get("path") else {}
    return path | {key: how[key] for key in ("port", "scheme") if key in how}


def _hidden(probe: Raw | None) -> Raw:
    """The rest of it."""
    rest = {key: value for key, value in (probe or {}).items() if key not in _TIMINGS}
    for kind in _KINDS & rest.keys():
        how = rest[kind] or {}
        rest[kind] = {**how, "port": None, "scheme": None, "path": str(how.get("path")).partition("?")[2]}
    return {key: value for key, value in rest.items() if key not in _KINDS or any(value.values())}


def _variables(container: Raw) -> dict[str, Any]:
    return {item["name"]: item for item in container.get("env") or []}


def _metadata(before: Raw, after: Raw) -> list[str]:
    old, new = bare(before).get("metadata") or {}, bare(after).get("metadata") or {}
    return [line for kind in ("labels", "annotations") for line in _names(f"pod {kind}", old.get(kind) or {}, new.get(kind) or {})]


def _pod(before: Raw, after: Raw) -> list[str]:
    old, new = before.get("spec", {}), after.get("spec", {})
    keys = sorted((old.keys() | new.keys()) - {"containers", "initContainers"})
    return [f"pod {key} changed" for key in keys if old.get(key) != new.get(key)]


def _names(what: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    changed = [name for name in old.keys() & new.keys() if old[name] != new[name]]
    parts = (("removed", old.keys() - new.keys()), ("added", new.keys() - old.keys()), ("changed", changed))
    return [f"{what} {word}: {', '.join(sorted(names))}" for word, names in parts if names]


def _text(value: Any) -> str:
    return "none" if value is None else json.dumps(value, sort_keys=True)


def images_in_doubt(before: Raw, after: Raw) -> tuple[str, ...]:
    """The images of ``after`` that may be others by now than when it ran: named by no tag or by ``latest``, and by any where all names stay the same.

    Then a moved tag may be all that the release changed. Any other tag may be moved too, but a line in every plan is read by nobody.
    """
    names = images(after)
    alike = names == images(before)
    return tuple(sorted({name for name in names.values() if "@" not in name and (alike or _tag(name) in ("", "latest"))}))


def _tag(image: str) -> str:
    """After the last slash: before it there may be a port."""
    return image.rpartition("/")[2].partition(":")[2]


def referenced(template: Raw) -> tuple[str, ...]:
    """The ConfigMaps and Secrets that its pods read, by kind and name: a revert of the template leaves their content as it is."""
    found: set[str] = set()
    _walk(template.get("spec", {}), found)
    return tuple(sorted(found))


def _walk(value: Any, found: set[str]) -> None:
    if isinstance(value, list):
        for item in value:
            _walk(item, found)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key in ("configMapRef", "configMapKeyRef", "configMap") and isinstance(item, dict) and item.get("name"):
            found.add(f"ConfigMap {item['name']}")
        elif key in ("secretRef", "secretKeyRef", "secret") and isinstance(item, dict) and (item.get("name") or item.get("secretName")):
            found.add(f"Secret {item.get('name') or item.get('secretName')}")
        _walk(item, found)
