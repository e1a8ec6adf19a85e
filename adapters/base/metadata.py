"""Where a cloud hands credentials to whoever asks from this machine. Nothing of ours is ever sent there, whoever wrote the address."""

import errno
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


_EMBEDDING = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""Where the last 32 bits are an IPv4 address: what a NAT64 gateway translates, and the old compatible form."""


def is_metadata(host: str) -> bool:
    """The host is such a place, by its name or by its address, however that is spelt. No name is resolved."""
    name = _folded(host.strip("[]")).rstrip(".").lower()
    if name in _NAMES:
        return True
    try:
        place = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        try:
            place = ipaddress.ip_address(socket.inet_aton(name))  # 2852039166 and 0xa9.0xfe.0xa9fe are addresses, too
        except (OSError, ValueError):
            return False
    return place in _PLACES or (isinstance(place, ipaddress.IPv6Address) and _within(place) in _PLACES)


def refuse_metadata(connected: socket.socket) -> None:
    """Returns if the other end is no such place. Raises OSError, with the connection closed, where a name led there all the same."""
    if is_metadata(str(connected.getpeername()[0])):
        connected.close()
        raise OSError(errno.EACCES, "its name leads to where a cloud hands out credentials, so nothing was sent: find out who changed it")


def _folded(name: str) -> str:
    """The name as the resolver reads it: other scripts' digits, letters and full stops are ASCII's there."""
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name  # it leads nowhere


def _within(place: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that is reached by this one; None where it is one of its own."""
    if any(place in network for network in _EMBEDDING):
        return ipaddress.IPv4Address(int(place) & 0xFFFFFFFF)
    return place.ipv4_mapped or place.sixtofour
