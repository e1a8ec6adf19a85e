"""PagerDuty's Events API v2 as its documentation describes it: what it accepts with 202, refuses with 400, and what becomes of the alerts.

Written from the published pages on trigger and change events, their limits and response codes; no account of PagerDuty was asked.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.exposition import Reply, Request

KEY = "0123456789abcdef0123456789abcdef"
LIMIT = 512 * 1024


@dataclass
class PagerDutyDouble:
    """One service with one integration key. ``alerts``: the state of each dedup_key; ``faults`` is said instead, once each."""

    key: str = KEY
    alerts: dict[str, str] = field(default_factory=dict)
    called: list[str] = field(default_factory=list)
    """The summary of each trigger that calls somebody."""
    changes: list[Mapping[str, Any]] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    faults: list[Reply] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        """The answer to one event."""
        if self.faults:
            return self.faults.pop(0)
        take: Callable[[Mapping[str, Any]], list[str]] | None = {"/v2/enqueue": self._event, "/v2/change/enqueue": self._change}.get(request.path)
        if request.method != "POST" or take is None:
            return Reply(404)
        try:
            event = json.loads(request.body)
        except ValueError:
            return _refused("JSON is invalid")
        if len(request.body) > LIMIT:
            return _refused("Event object exceeds the size limit")
        errors = [*self._key_errors(event), *_payload_errors(event.get("payload"))] or take(event)
        return _refused(*errors) if errors else Reply(202, json.dumps({"status": "success", "message": "Event processed"}).encode())

    def _key_errors(self, event: Mapping[str, Any]) -> list[str]:
        return [] if event.get("routing_key") == self.key else ["Invalid routing key"]

    def _event(self, event: Mapping[str, Any]) -> list[str]:
        action, key, payload = event.get("event_action"), event.get("dedup_key"), event.get("payload") or {}
        if action not in ("trigger", "acknowledge", "resolve"):
            return ["'event_action' is invalid"]
        if not isinstance(key, str) or not 0 < len(key) <= 255:
            return ["'dedup_key' is missing or too long (maximum is 255 characters)"]
        if payload.get("severity") not in ("critical", "error", "warning", "info"):
            return ["'payload.severity' is invalid"]
        self.events.append(event)
        if action == "trigger":
            if self.alerts.get(key) != "acknowledged":
                self.called.append(payload["summary"])
                self.alerts[key] = "triggered"
        elif self.alerts.get(key) in ("triggered", "acknowledged"):
            self.alerts[key] = f"{action}d"
        return []

    def _change(self, event: Mapping[str, Any]) -> list[str]:
        if unknown := sorted(event.keys() - {"routing_key", "payload", "links"}):
            return [f"'{unknown[0]}' is no part of a change event"]
        self.events.append(event)
        self.changes.append(event["payload"])
        return []


def _payload_errors(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing"]
    summary, source = payload.get("summary"), payload.get("source")
    errors = []
    if not isinstance(summary, str) or not 0 < len(summary) <= 1024:
        errors.append("'payload.summary' is missing or too long (maximum is 1024 characters)")
    if not isinstance(source, str) or not source:
        errors.append("'payload.source' is missing or blank")
    try:
        datetime.fromisoformat(payload.get("timestamp", "2026-03-01T12:00:00+00:00"))
    except (TypeError, ValueError):
        errors.append("'payload.timestamp' is invalid")
    if not isinstance(payload.get("custom_details", {}), dict):
        errors.append("'payload.custom_details' is no object")
    return errors


def _refused(*errors: str) -> Reply:
    return Reply(400, json.dumps({"status": "invalid event", "message": "Event object is invalid", "errors": errors}).encode())
