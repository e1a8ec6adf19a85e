"""Where a cloud hands credentials to whoever asks from this machine. Nothing of ours is ever sent there, whoever wrote the address."""

import ipaddress
import socket

_PLACES = frozenset(
    ipaddress.ip_address(place)
    for place in (
        *("169.254.169.254", "fd00:ec2::254"),  # EC2, Google, Azure, OpenStack and most others
        *("169.254.170.2", "169.254.170.23", "fd00:ec2::23"),  # ECS, and EKS Pod Identity
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
    )
)
_NAMES = frozenset(("metadata.google.internal", "metadata.goog", "instance-data.ec2.internal", "instance-data"))


def is_metadata(host: str) -> bool:
    """The host is such a place, by its name or by its address, however that is spelt. No name is resolved."""
    name = host.strip("[]").rstrip(".").lower()
    if name in _NAMES:
        return True
    try:
        place = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        try:
            place = ipaddress.ip_address(socket.inet_aton(name))  # 2852039166 and 0xa9.0xfe.0xa9fe are addresses, too
        except (OSError, ValueError):
            return False
    return (getattr(place, "ipv4_mapped", None) or place) in _PLACES
