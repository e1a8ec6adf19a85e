"""One notice of each kind, as the controller words them, and what strangers and accidents make of one."""

from dataclasses import replace
from datetime import UTC, datetime

from rollbackd.adapters.base.notice import Notice

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TARGET = "kubernetes:prod-eu/shop/deployment/checkout"
FIELDS = {"target": TARGET, "policy": "checkout", "incident": "inc-1"}
LAST = "incident inc-1, policy checkout"

STARTED = Notice(
    id="inc-1:started:0",
    key="inc-1",
    kind="started",
    title="STARTED put checkout back to v141: do nothing until at least 12:09:00 UTC",
    lines=(
        "why: error-rate 0.084 > 0.020 for 3m0s (504 of 6,000)",
        "doing: rung 1: put checkout back to v141 (v142 -> v141)",
        "  image app: registry.example/shop:142 -> registry.example/shop:141",
        "not undone: ConfigMap checkout-config",
        "by hand: kubectl -n shop rollout undo deployment/checkout --to-revision=6",
        "to stop before the next step: rollbackd pause --reason '...'; explain: rollbackd explain " + TARGET,
        LAST,
    ),
    urgency="notice",
    resolved=False,
    at=AT,
    fields=FIELDS,
)
APPROVAL = replace(
    STARTED,
    id="inc-1:approval:0:5c41aa0e9d2b",
    kind="approval",
    title="APPROVAL NEEDED checkout: put checkout back to v141; waits for your approval until 12:30:00 UTC",
    lines=(
        "nothing was done yet: it is yours to decide",
        "would do: rung 1: put checkout back to v141 (v142 -> v141)",
        "to do it: rollbackd approve inc-1 --plan 5c41aa0e9d2b",
        LAST,
    ),
    urgency="page",
)
ACKED = replace(
    STARTED, id="inc-1:acked:ada", kind="acked", title="ACKNOWLEDGED checkout: ada has taken inc-1", lines=("nothing more is begun by itself", LAST)
)
HELD = replace(
    STARTED,
    id="inc-1:held:ladder",
    kind="held",
    title="ROLLBACK NEEDS YOU checkout: held by ladder: no rung is left",
    lines=("a human must look now: nothing more is done by itself", "rung 1: failed: image gone (push it again)", LAST),
    urgency="page",
)
RECOVERED = replace(
    STARTED,
    id="inc-1:recovered",
    kind="recovered",
    title="ROLLED BACK checkout v142 -> v141: verified, healthy for 5m0s: error-rate 0.003",
    lines=("nothing needs to be done now", "to allow revision v142 again: rollbackd rearm " + TARGET + " v142", LAST),
    resolved=True,
)
SUPERSEDED = replace(
    STARTED,
    id="inc-1:superseded",
    kind="superseded",
    title="CLOSED checkout: superseded after 4m0s",
    lines=("a newer change started: v143", LAST),
    resolved=True,
)
SUGGESTED = replace(
    STARTED,
    id="inc-1:suggested",
    kind="suggested",
    title="SUGGESTED checkout: error-rate 0.084 > 0.020 for 3m0s",
    lines=("nothing was done: the mode is suggest", "what it would write: rollbackd plan checkout", LAST),
    urgency="page",
)
OUTSIDE = Notice(
    id="outside/checkout/error-rate/1",
    key="outside/checkout/error-rate/1",
    kind="outside-watch",
    title="NO ACTION TAKEN checkout: error-rate in breach, no change explains it",
    lines=("error-rate 0.084 > 0.020 for 3m0s", "policy checkout, outside_watch: notify"),
    urgency="notice",
    resolved=False,
    at=AT,
    fields={"target": TARGET, "policy": "checkout"},
)
BLIND = Notice(
    id="source:prometheus:blind",
    key="source:prometheus",
    kind="blind",
    title="NO ACTION TAKEN: source prometheus has not answered for 5m0s",
    lines=("127.0.0.1:9090 gave no answer (Connection refused)", "nothing that reads it is judged"),
    urgency="page",
    resolved=False,
    at=AT,
)
SIGHTED = replace(
    BLIND, id="source:prometheus:sighted", kind="sighted", title="source prometheus answers again", lines=(), urgency="notice", resolved=True
)
TEST = replace(BLIND, id="test-1", key="test", kind="test", title="TEST from rollbackd to oncall", lines=("this is a test: nothing is wrong",))

ATTACK = "<!channel> @here <!everyone> <@U1> <https://evil.example|click> `x` *b* _i_ ~s~ :boom: [y](https://evil.example) <at>all</at> {{DATE(x)}}"
"""What a label's value may hold, by accident or not: the marks of all channels."""
BREAKS = "a\r\nBcc: evil@x.example\nb\u2028c\x00d\u202ee\ud800f"
"""Line breaks, a control character, one that turns the text around, half a character."""
HOSTILE = replace(
    HELD,
    id=f"inc-1:held:{BREAKS}",
    kind="held",
    title=f"ROLLBACK NEEDS YOU {BREAKS} {ATTACK}",
    lines=(f"why: pod {ATTACK}", f"note: {BREAKS}", LAST),
    fields={"target": f"kubernetes:{BREAKS}", "policy": ATTACK},
)
OVERSIZE = replace(
    HELD,
    key="inc-" + "k" * 400,
    title="ROLLBACK NEEDS YOU " + "t" * 2000,
    lines=("the first line stands", "w" * 90_000, *(f"line {number} of many, with an emoji 🔥 and more words" for number in range(20_000))),
    fields={"target": "kubernetes:" + "x" * 5000, "policy": "p" * 5000},
)

KINDS = (STARTED, APPROVAL, ACKED, HELD, RECOVERED, SUPERSEDED, SUGGESTED, OUTSIDE, BLIND, SIGHTED, TEST)
