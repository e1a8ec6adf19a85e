"""The API for what people decide: approvals, orders, what a pipeline waits for, the audit of the journal."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from rollbackd.controller.api.request import asked, get, many_of, post, text_of, who_of
from rollbackd.controller.explain.standing import standing
from rollbackd.controller.journal.audit import audit
from rollbackd.controller.people.by_hand import ByHand, Wish
from rollbackd.controller.people.denied import Denied
from rollbackd.controller.people.desk import Desk
from rollbackd.controller.people.hands import Hands

LABELS = ("right", "wrong")
MOST_RUNGS = 100


def routes_of_hands(desk: Desk, people_only: bool) -> list[Route]:
    """The routes. ``people_only``: who approves, rejects or orders has to prove who they are by a token of their own."""
    hands = Hands(desk)
    by_hand = ByHand(desk, hands)

    def person(request: Request, body: Mapping[str, Any]) -> str:
        if people_only and not request.state.speaker:
            raise Denied("blocked", "the shared token does not say who decides", "use your own token (api.people in the daemon's config)")
        return who_of(request, body)

    def approve(request: Request, body: Mapping[str, Any]) -> object:
        who, reason = person(request, body), text_of(body, "reason", default="")
        return hands.approve(text_of(body, "incident"), text_of(body, "plan"), who, reason, many_of(body, "overrides"))

    def wish(request: Request, body: Mapping[str, Any]) -> Wish:
        return Wish(_rung(body), text_of(body, "plan"), person(request, body), text_of(body, "reason"), many_of(body, "overrides"))

    return [
        post("/approve", approve),
        post("/reject", lambda r, b: hands.reject(text_of(b, "incident"), text_of(b, "plan"), person(r, b), text_of(b, "reason"))),
        post("/ack", lambda r, b: hands.ack(text_of(b, "incident"), who_of(r, b), text_of(b, "note", default=""), close=b.get("close") is True)),
        post("/label", lambda r, b: hands.label(text_of(b, "incident"), _label(b), who_of(r, b), text_of(b, "note", default=""))),
        post("/rollback", lambda r, b: by_hand.rollback(text_of(b, "of"), wish(r, b))),
        get("/undo", lambda r, b: by_hand.undo_plan(asked(r, "incident"))),
        post("/undo", lambda r, b: by_hand.undo(text_of(b, "incident"), wish(r, b))),
        get("/standing", lambda r, b: standing(desk, asked(r, "target"), asked(r, "revision"))),
        get("/audit", lambda r, b: audit(desk.store, r.query_params.getlist("kept"))),
    ]


def _label(body: Mapping[str, Any]) -> str:
    found = text_of(body, "label")
    if found not in LABELS:
        raise Denied("invalid", f"'label': expected {' or '.join(LABELS)}, found {found[:20]!r}")
    return found


def _rung(body: Mapping[str, Any]) -> int:
    found = body.get("rung")
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= MOST_RUNGS:
        raise Denied("invalid", f"'rung': expected a number from 1 to {MOST_RUNGS}, found {str(found)[:20]!r}")
    return found
