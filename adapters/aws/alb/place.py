"""Where a rule is, as its key says."""

from dataclasses import dataclass

from rollbackd.adapters.base.errors import Permanent

FORM = "alb:ACCOUNT/REGION/LOAD_BALANCER/PORT/RULE"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Place:
    """One rule of one listener. ``rule``: its priority, or ``default``."""

    account: str
    region: str
    balancer: str
    port: int
    rule: str

    @property
    def key(self) -> str:
        """The target key."""
        return f"alb:{self.account}/{self.region}/{self.balancer}/{self.port}/{self.rule}"

    @property
    def listener(self) -> tuple[str, str, str, int]:
        """The listener that the rule belongs to."""
        return (self.account, self.region, self.balancer, self.port)

    def __str__(self) -> str:
        rule = "default rule" if self.rule == DEFAULT else f"rule {self.rule}"
        return f"{rule} of load balancer {self.balancer}, port {self.port} ({self.account}, {self.region})"


def place_of(key: str) -> Place:
    """The place that a key names. Raises Permanent for any other form."""
    kind, _, rest = key.partition(":")
    parts = rest.split("/")
    is_rule = len(parts) == 5 and all(parts) and parts[3].isdecimal() and (parts[4] == DEFAULT or parts[4].isdecimal())
    if kind != "alb" or not is_rule:
        raise Permanent(f"{key} names no rule of a load balancer: expected {FORM}. Correct the target in the policy.")
    account, region, balancer, port, rule = parts
    return Place(account, region, balancer, int(port), rule)
