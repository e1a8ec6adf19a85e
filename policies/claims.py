"""Which policies a faulty file was meant to hold, and for which targets: fleets are kept away from those all the same."""

from collections.abc import Mapping

from rollbackd.policies.model.keys import kubernetes_key
from rollbackd.policies.resolve.names import Names
from rollbackd.policies.text.yaml_text import parse


def claims(text: str, file: str, names: Names | None) -> dict[str, str]:
    """The Deployments that the policies in ``text`` name as their targets, as far as that can be read, and the name of each one's policy."""
    default = names.default_cluster if names is not None else None
    found: dict[str, str] = {}
    for document in parse(text, file).documents:
        place = _at(document.root.data, "spec", "target", "kubernetes")
        namespace, name = _at(place, "namespace"), _at(place, "deployment")
        if isinstance(namespace, str) and isinstance(name, str):
            policy = _at(document.root.data, "metadata", "name")
            cluster = _at(place, "cluster") or default or "default"
            found[kubernetes_key(str(cluster), namespace, name)] = str(policy or file)
    return found


def named(text: str, file: str) -> frozenset[str]:
    """The names of the policies in ``text``, as far as they can be read."""
    found = (_at(document.root.data, "metadata", "name") for document in parse(text, file).documents)
    return frozenset(name for name in found if isinstance(name, str))


def _at(data: object, *keys: str) -> object:
    """What stands below ``keys``; None where nothing does."""
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data
