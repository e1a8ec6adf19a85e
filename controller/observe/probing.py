"""Health checks for the probe signal: of endpoints that the config names, or of the target's own pods."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.probe import failing_share, probe_endpoints
from rollbackd.controller.config.values import NamedProbe
from rollbackd.controller.observe.questions import ProbeQuestion

OWN_TIMEOUT = timedelta(seconds=5)

Addresses = Callable[[str], Sequence[str]]
"""The addresses of a target's serving pods. Raises AdapterError."""


class Probing:
    """Asks endpoints and returns the share that fails; None where there is nothing to ask."""

    def __init__(self, probes: Mapping[str, NamedProbe], addresses: Mapping[str, Addresses]) -> None:
        """``addresses`` by the kind of target that has endpoints of its own."""
        self._probes = probes
        self._addresses = addresses

    def __call__(self, question: ProbeQuestion) -> float | None:
        """The share of failing endpoints now. Raises AdapterError where it cannot be known which endpoints to ask."""
        if question.name is not None:
            probe = self._probes.get(question.name)
            if probe is None:
                raise Permanent(f"there is no probe {question.name} in the daemon's config; nothing was asked; add it under probes:")
            return failing_share(probe_endpoints(probe.urls, probe.timeout))
        addresses = self._addresses.get(question.target.partition(":")[0])
        if addresses is None:
            raise Permanent(f"{question.target} has no endpoints that rollbackd knows; nothing was asked; name a probe under probes:")
        urls = [_url(address, question.port or 80, question.path) for address in addresses(question.target)]
        return failing_share(probe_endpoints(urls, OWN_TIMEOUT))


def _url(address: str, port: int, path: str | None) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"tcp://{host}:{port}" if path is None else f"http://{host}:{port}{path}"
