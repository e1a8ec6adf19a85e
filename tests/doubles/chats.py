"""Slack and Teams as their documentation describes them: which message they take, and how they refuse another.

Written from the published limits of blocks, of chat.postMessage, of incoming webhooks and of cards posted to a workflow; no workspace was asked.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.exposition import Reply, Request

HOOK = "/services/T0/B0/hunter2"
TOKEN = "xoxb-hunter2"
FLOW = "/workflows/f00/triggers/manual/paths/invoke?sp=%2Ftriggers&sig=hunter2"


def units(text: str) -> int:
    """The length that JavaScript and .NET see."""
    return len(text.encode("utf-16-le")) // 2


@dataclass
class SlackDouble:
    """An incoming webhook at HOOK and chat.postMessage for TOKEN with one channel. ``faults`` is said instead, once each."""

    channel: str = "C1"
    messages: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Reply] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        """The answer to one message."""
        if self.faults:
            return self.faults.pop(0)
        if request.path == HOOK:
            error = self._taken(request)
            return Reply(200, b"ok") if not error else Reply(400, error.encode())
        if request.path.startswith("/services/"):
            return Reply(404, b"no_service")
        if request.path == "/api/chat.postMessage":
            return Reply(200, json.dumps(self._posted(request)).encode())
        return Reply(404, b"<html>not found</html>")

    def _posted(self, request: Request) -> dict[str, object]:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        if json.loads(request.body).get("channel") != self.channel:
            return {"ok": False, "error": "channel_not_found"}
        error = self._taken(request)
        return {"ok": False, "error": error} if error else {"ok": True, "channel": self.channel, "ts": "1772366400.000100"}

    def _taken(self, request: Request) -> str:
        message = json.loads(request.body)
        blocks = message.get("blocks", [])
        if len(blocks) > 50 or any(_is_bad_block(block) for block in blocks) or not message.get("text"):
            return "invalid_blocks"
        if sum(units(block["text"]["text"]) for block in blocks) > 13_000:
            return "msg_blocks_too_long"
        self.messages.append(message)
        return ""


def _is_bad_block(block: Any) -> bool:
    text = block.get("text", {})
    most = {"header": 150, "section": 3000}.get(block.get("type"), 0)
    return text.get("type") != "plain_text" or not 0 < units(text.get("text", "")) <= most


@dataclass
class TeamsDouble:
    """A workflow at FLOW. ``faults`` is said instead, once each."""

    cards: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Reply] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        """The answer to one card."""
        if self.faults:
            return self.faults.pop(0)
        if request.path != FLOW:
            return Reply(401, json.dumps({"error": {"code": "DirectApiInvalidAuthorizationScheme", "message": request.path}}).encode())
        if len(request.body) > 28 * 1024:
            return Reply(413)
        message = json.loads(request.body)
        (attachment,) = message["attachments"]
        if message.get("type") != "message" or attachment.get("contentType") != "application/vnd.microsoft.card.adaptive":
            return Reply(400)
        card = attachment["content"]
        if card.get("type") != "AdaptiveCard" or any(element.get("type") != "RichTextBlock" for element in card["body"]):
            return Reply(400)
        self.cards.append(card)
        return Reply(202)
