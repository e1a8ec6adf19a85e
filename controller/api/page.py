"""What the API serves beside its calls, described."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rollbackd.controller.api.parameters import Parameter


@dataclass(frozen=True, slots=True)
class Page:
    """One page. ``answer`` None: ``media``, none of our documents. ``faulty``: what a 503 means, where it can be one. ``is_open``: needs no token."""

    path: str
    about: str
    answer: type | None = None
    takes: Sequence[Parameter[Any]] = ()
    media: str = "application/json"
    faulty: str = ""
    is_open: bool = False


HEALTH = Page("/healthz", "Whether the daemon works at all.", media="text/plain", faulty="It does not; why.", is_open=True)
READY = Page("/readyz", "Whether the daemon can do its work.", media="text/plain", faulty="It cannot; why.", is_open=True)
METRICS = Page("/metrics", "The daemon's own metrics, for Prometheus.", media="text/plain", is_open=True)
DOCUMENT = Page("/api/openapi.json", "This document. It is behind the token like all under /api, so that this rule has no exception.")
PAGES = (HEALTH, READY, METRICS, DOCUMENT)
