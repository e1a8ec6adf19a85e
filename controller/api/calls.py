"""The table of the API: every call with what it is for, what it takes and what it answers. Routes and the OpenAPI document are both made of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rollbackd.adapters.base.wording import one_line
from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.answers.done import Audit, Decided, Declared, FromHistory, PauseState, RevisionStanding
from rollbackd.controller.answers.explain import Explanation
from rollbackd.controller.answers.past import ChangeLine, ChangeList, DryRun, History
from rollbackd.controller.answers.status import Coverage, PolicyList, Status
from rollbackd.controller.api.parameters import (
    MOST_ROWS,
    MOST_RUNGS,
    Given,
    Parameter,
    any_text,
    choice,
    flag,
    moment,
    needed_text,
    some_text,
    spoken_name,
    whole,
    words,
)
from rollbackd.controller.audit import audit
from rollbackd.controller.journal.values import Standing
from rollbackd.controller.people.by_hand import ByHand, Wish
from rollbackd.controller.people.declaring import Declaration, declare
from rollbackd.controller.people.desk import Desk
from rollbackd.controller.people.hands import Hands
from rollbackd.controller.people.held import Pausing, rearm
from rollbackd.controller.people.posted import Posted
from rollbackd.controller.people.standing import standing


def _on_one_line(text: Parameter[str]) -> Parameter[str]:
    """The text, folded: it stands in pages and in tables, where a line of its own would pass for one of ours."""

    def read(name: str, found: object) -> str:
        whole = text.read(name, found)
        folded = one_line(whole).strip()
        if whole and not folded:  # not taken for an empty one: that may mean something else
            raise Denied("invalid", f"'{name}' holds only characters that nobody sees", "write something, or leave it away")
        return folded

    return replace(text, read=read)


PREFIX = "/api/v1"
TARGET = needed_text("target", "A target by its key, such as kubernetes:shop/checkout.")
ONLY_TARGET = some_text("target", "Only this target's.")
REVISION = needed_text("revision", "A revision, as its target names it.")
NEW_REVISION = spoken_name(REVISION.name, "A revision, as people will name it. No control characters.")
STARTED = moment("started", "When it began. Default: now.")
NOTE = _on_one_line(any_text("note", "For people who read it later. It is kept on one line."))
IRREVERSIBLE = _on_one_line(any_text("irreversible", "Why it must not be undone without people, kept on one line; empty: it may be."))
WHO = any_text("who", "Who asks. Needed with the shared token; a token of a person proves it, and this is not looked at.")
REASON = needed_text("reason", "Why. It is kept in the journal.")
WHY = any_text("reason", "Why; needed beside `overrides`. It is kept in the journal.")
INCIDENT = needed_text("incident", "An incident's id, such as inc-0123456789ab.")
PLAN = needed_text("plan", "The first 8 or more digits of the digest of the plan that was shown.")
RUNG = whole("rung", "A rung of the plan, counted from 1.", MOST_RUNGS)
OVERRIDES = words("overrides", "Guards to pass by name.")
UNSEEN = flag("unseen", "It is meant although the target never showed it.")
CLOSE = flag("close", "End the incident as well.")
LABEL = choice("label", "Whether the incident was called rightly.", ("right", "wrong"))
OF = needed_text("of", "A policy, or a target.")
OF_WHICH = some_text("of", "Only this target's, or this incident's.")
POLICY = needed_text("policy", "A policy, or the target of just one.")
LIMIT = whole("limit", "So many at most.", MOST_ROWS, 50)
POWER = choice("power", "1: and what each condition would find at the last week's traffic.", ("0", "1"), "0")
KEPT = words("kept", "Hashes of rows that were noted down earlier, or their beginnings.")


class Office:
    """Who carries out what the API is asked for. ``people_only``: who decides has to prove who they are by a token of their own."""

    def __init__(self, desk: Desk, people_only: bool) -> None:
        self.desk = desk
        self.switch = Pausing(desk)
        self.hands = Hands(desk)
        self.by_hand = ByHand(desk, self.hands)
        self._people_only = people_only

    def person(self, given: Given) -> str:
        """Who decides. Raises Denied."""
        if self._people_only and not given.speaker:
            raise Denied("blocked", "the shared token does not say who decides", "use your own token (api.people in the daemon's config)")
        return who_of(given)


@dataclass(frozen=True, slots=True)
class Call:
    """One thing that may be asked for under ``PREFIX``. ``do`` returns an ``answer`` and reads nothing but what the call ``takes``.

    ``is_urgent``: it waits for no other call, however many ask what takes minutes.
    """

    method: Literal["GET", "POST"]
    path: str
    about: str
    answer: type
    do: Callable[[Office, Given], object]
    takes: Sequence[Parameter[Any]] = ()
    is_urgent: bool = False


def who_of(given: Given) -> str:
    """The person who asks: proven by their own token, else as they say. Raises Denied."""
    who = given.speaker or given[WHO]
    if not who:
        raise Denied("invalid", "'who' is missing")
    return who


def posted(given: Given) -> Posted:
    """The change that a request tells of."""
    return Posted(given[TARGET], given[NEW_REVISION], given[STARTED], given[NOTE], given[IRREVERSIBLE] or None)


def _declare(standing: Standing) -> Callable[[Office, Given], Declared]:
    """A declaration of this standing; only one of good asks whether a revision that was never seen is meant."""

    def declared(office: Office, given: Given) -> Declared:
        is_unseen_meant = standing is Standing.GOOD and given[UNSEEN]
        return declare(office.desk, Declaration(given[TARGET], given[REVISION], standing, who_of(given), given[NOTE], is_unseen_meant))

    return declared


def _wish(office: Office, given: Given) -> Wish:
    return Wish(given[RUNG], given[PLAN], office.person(given), given[REASON], given[OVERRIDES])


CHANGE = (TARGET, NEW_REVISION, STARTED, NOTE, IRREVERSIBLE)
DECLARED = (TARGET, REVISION, NOTE, WHO)
WISH = (RUNG, PLAN, REASON, OVERRIDES, WHO)
CALLS = (
    # what is
    Call("GET", "/status", "Everything at a glance.", Status, lambda o, g: o.desk.status()),
    Call("GET", "/coverage", "Which targets are watched, and which changes could have been undone.", Coverage, lambda o, g: o.desk.coverage()),
    Call("GET", "/policies", "The loaded policies.", PolicyList, lambda o, g: o.desk.policies()),
    Call(
        "GET",
        "/explain",
        "Why policies act or do not, with the arithmetic.",
        Explanation,
        lambda o, g: o.desk.explain(g[OF], with_power=g[POWER] == "1"),
        (OF, POWER),
    ),
    Call("GET", "/changes", "The newest changes.", ChangeList, lambda o, g: o.desk.changes(g[ONLY_TARGET], g[LIMIT]), (ONLY_TARGET, LIMIT)),
    Call("GET", "/history", "The newest rows of the journal.", History, lambda o, g: o.desk.history(g[OF_WHICH], g[LIMIT]), (OF_WHICH, LIMIT)),
    Call("GET", "/plan", "What each rung would write now. Nothing is written.", DryRun, lambda o, g: o.by_hand.plan(g[POLICY]), (POLICY,)),
    Call(
        "GET",
        "/standing",
        "How a revision fares: good, bad, watched, superseded or awaited. What a pipeline asks again until it knows.",
        RevisionStanding,
        lambda o, g: standing(o.desk, g[TARGET], g[REVISION]),
        (TARGET, REVISION),
    ),
    Call(
        "GET",
        "/undo",
        "What taking back an incident's writes would do now. Nothing is done.",
        DryRun,
        lambda o, g: o.by_hand.undo_plan(g[INCIDENT]),
        (INCIDENT,),
    ),
    Call("GET", "/audit", "Whether the journal's chain holds.", Audit, lambda o, g: audit(o.desk.store, g[KEPT]), (KEPT,)),
    # what pipelines and people tell
    Call("POST", "/changes", "A change that a pipeline made: a suspect from now on.", ChangeLine, lambda o, g: o.desk.post(posted(g)), CHANGE),
    Call(
        "POST",
        "/pause",
        "Nothing is acted on from now on.",
        PauseState,
        lambda o, g: o.switch.pause(g[REASON], who_of(g)),
        (REASON, WHO),
        is_urgent=True,
    ),
    Call("POST", "/resume", "Acting is allowed again.", PauseState, lambda o, g: o.switch.resume(who_of(g)), (WHO,), is_urgent=True),
    Call("POST", "/good", "A revision is known good.", Declared, _declare(Standing.GOOD), (*DECLARED, UNSEEN)),
    Call(
        "POST",
        "/good/history",
        "What a target's own past proved good is known good.",
        FromHistory,
        lambda o, g: o.desk.good_from_history(g[TARGET], who_of(g)),
        (TARGET, WHO),
    ),
    Call("POST", "/bad", "A revision is bad: nothing goes back to it.", Declared, _declare(Standing.BAD), DECLARED),
    Call(
        "POST",
        "/rearm",
        "A revision is out of quarantine.",
        Declared,
        lambda o, g: rearm(o.desk, g[TARGET], g[REVISION], who_of(g)),
        (TARGET, REVISION, WHO),
    ),
    # what people decide
    Call(
        "POST",
        "/approve",
        "The plan that was shown is carried out.",
        Decided,
        lambda o, g: o.hands.approve(g[INCIDENT], g[PLAN], o.person(g), g[WHY], g[OVERRIDES]),
        (INCIDENT, PLAN, WHY, OVERRIDES, WHO),
    ),
    Call(
        "POST",
        "/reject",
        "The plan that was shown is not carried out.",
        Decided,
        lambda o, g: o.hands.reject(g[INCIDENT], g[PLAN], o.person(g), g[REASON]),
        (INCIDENT, PLAN, REASON, WHO),
    ),
    Call(
        "POST",
        "/ack",
        "Somebody has taken the incident.",
        Decided,
        lambda o, g: o.hands.ack(g[INCIDENT], who_of(g), g[NOTE], close=g[CLOSE]),
        (INCIDENT, NOTE, CLOSE, WHO),
    ),
    Call(
        "POST",
        "/label",
        "An incident was called rightly, or wrongly.",
        Decided,
        lambda o, g: o.hands.label(g[INCIDENT], g[LABEL], who_of(g), g[NOTE]),
        (INCIDENT, LABEL, NOTE, WHO),
    ),
    Call(
        "POST",
        "/rollback",
        "A rung is carried out by order, as its plan was shown.",
        Decided,
        lambda o, g: o.by_hand.rollback(g[OF], _wish(o, g)),
        (OF, *WISH),
    ),
    Call(
        "POST",
        "/undo",
        "A write of an incident is taken back, as the plan was shown.",
        Decided,
        lambda o, g: o.by_hand.undo(g[INCIDENT], _wish(o, g)),
        (INCIDENT, *WISH),
    ),
)
