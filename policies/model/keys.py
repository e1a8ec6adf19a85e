"""Target keys: one string that carries the place."""

import re
from collections.abc import Sequence

_PART = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_ZONE_ID = re.compile(r"Z[A-Z0-9]{8,31}")
FORMS = "kubernetes:shop/checkout, shop/checkout, command:deploy, or a whole key such as kubernetes:default/shop/deployment/checkout"


def kubernetes_key(cluster: str, namespace: str, deployment: str) -> str:
    """The key of a Deployment."""
    return f"kubernetes:{cluster}/{namespace}/deployment/{deployment}"


def cluster_of(key: str) -> str | None:
    """The Kubernetes cluster that the target is in; None of another kind."""
    kind, _, place = key.partition(":")
    return place.partition("/")[0] if kind == "kubernetes" else None


def ecs_key(account: str, region: str, cluster: str, service: str) -> str:
    """The key of a service of ECS."""
    return f"ecs:{account}/{region}/{cluster}/{service}"


def alb_key(account: str, region: str, balancer: str, port: int, rule: object) -> str:
    """The key of a rule of a load balancer: by its priority, or ``default``."""
    return f"alb:{account}/{region}/{balancer}/{port}/{rule}"


def route53_key(account: str, zone: str, name: str) -> str:
    """The key of a name of a hosted zone; two spellings of one name are one key."""
    return f"route53:{account}/{zone if is_zone_id(zone) else _plain(zone)}/{_plain(name)}"


def is_zone_id(zone: str) -> bool:
    """Whether a hosted zone is named by its id."""
    return _ZONE_ID.fullmatch(zone) is not None


def tells_ready(key: str) -> bool:
    """Whether the target says of each change when its first replica served. A command may, and flags serve at once."""
    return key.partition(":")[0] in ("kubernetes", "ecs")


def recurs(key: str) -> bool:
    """Whether the revisions of the target come again with every release, as weights do: one that was rolled back is not kept out for ever."""
    return key.partition(":")[0] in ("alb", "route53")


def rds_key(account: str, region: str, instance: str, way: str) -> str:
    """The key of a database, and of what its data would be restored from: ``point-in-time`` or ``snapshot``."""
    return f"rds:{account}/{region}/{instance}/{way}"


def is_handed_over(key: str) -> bool:
    """Whether people finish what is begun for the target: nothing that serves is changed, and no evidence could tell whether it helped."""
    return key.partition(":")[0] == "rds"


def command_key(name: str) -> str:
    """The key of what a pair of commands describes and changes."""
    return f"command:{name}"


def flags_key(kind: str, provider: str, environment: str | None, scope: str) -> str:
    """The key of a scope of flags: ``all``, ``tag:checkout`` or ``flags:a,b``."""
    place = f"{provider}/{environment}" if environment else provider
    return f"{kind}:{place}/{scope}"


def flags_scope(tag: str | None, flags: Sequence[str] | None) -> str:
    """The scope part of a flags key; two spellings of one set of flags are one scope."""
    if tag:
        return f"tag:{tag}"
    return f"flags:{','.join(sorted(set(flags)))}" if flags else "all"


def shared_key(name: str) -> str:
    """The key of a thing that targets share and that nothing here can change: a database, a queue, what Terraform made."""
    return f"shared:{name}"


def namespace_of(key: str) -> str:
    """The namespace that guards count by: the Kubernetes namespace, else the kind and place."""
    kind, _, rest = key.partition(":")
    parts = rest.split("/")
    return parts[1] if kind == "kubernetes" and len(parts) == 4 else f"{kind}:{parts[0]}"


def parse_target(text: str, default_cluster: str | None) -> str:
    """The key that a person means by ``text``: a whole key, or a Deployment without its cluster.

    Raises ValueError, saying what can be written, where it is no target or the cluster cannot be left out.
    """
    kind, colon, rest = text.strip().partition(":")
    if not colon:
        kind, rest = "kubernetes", kind
    if kind != "kubernetes":
        if not rest or not _PART.fullmatch(kind) or any(char.isspace() for char in rest):
            raise ValueError(f"{text!r} names no target; write {FORMS}")
        return f"{kind}:{rest}"
    return _kubernetes(text, rest.split("/"), default_cluster)


def _kubernetes(text: str, parts: Sequence[str], default_cluster: str | None) -> str:
    if not all(_PART.fullmatch(part) for part in parts):
        raise ValueError(f"{text!r} names no target; write {FORMS}")
    match list(parts):
        case [cluster, namespace, "deployment", name]:
            return kubernetes_key(cluster, namespace, name)
        case [namespace, "deployment", name] | [namespace, name] if default_cluster:
            return kubernetes_key(default_cluster, namespace, name)
        case [_, "deployment", _] | [_, _]:
            raise ValueError(f"{text!r} does not say which cluster; write kubernetes:CLUSTER/NAMESPACE/deployment/NAME")
        case _:
            raise ValueError(f"{text!r} names no target; write {FORMS}")


def _plain(name: str) -> str:
    return name.rstrip(".").lower()
