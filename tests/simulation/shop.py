"""The services of a story: how they really fare, and what a metric source says of that."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rollbackd.policies.model.policy import Approvals, FlagsRung, For, Limit, Mode, Policy, RevertRung, Timing
from rollbackd.policies.model.readings import Counts, Lack, Reading, Unknown
from tests.policies.literals import ERRORS, POLICY, replace
from tests.simulation.outside import Outside

EVERY = timedelta(seconds=10)
MINUTE = timedelta(minutes=1)
WATCH = 5 * MINUTE
RATE = 60.0
"""Requests a second."""
HEALTHY = 0.001
TIMING = Timing(warmup=timedelta(0), settle=timedelta(0), recover_for=2 * EVERY, give_up=9 * EVERY, cooldown=timedelta(0), bake=timedelta(minutes=3))
CONDITION = replace(ERRORS, limit=Limit(high=0.05, unit="%"), confirm=For(timedelta(0)), window=MINUTE)


@dataclass(slots=True)
class Service:
    """One service. ``quality``: its error share by revision; ``flag_share``: while its flag is on; ``storm``: from what it depends on."""

    policy: Policy
    flag: str | None
    quality: dict[str, float] = field(default_factory=lambda: {"v1": HEALTHY})
    flag_share: float = 0.0
    storm: float = 0.0
    served: str = "v1"
    timeline: list[tuple[datetime, float]] = field(default_factory=list)
    silent_until: datetime | None = None
    lack: Lack = Lack.NODATA

    @property
    def key(self) -> str:
        return self.policy.target

    def settle(self, outside: Outside) -> None:
        """Its error share from now on is what follows from all that stands outside."""
        live = outside.workloads[self.key]
        if live.ready is not None:
            self.served = live.revision
        flag = self.flag_share if self.flag is not None and outside.flags[self.flag] == "on" else 0.0
        share = max(self.quality[self.served], flag, self.storm)
        if not self.timeline or self.timeline[-1][1] != share:
            self.timeline.append((outside.clock.now, share))

    def share(self, start: datetime, end: datetime) -> float:
        """The error share over (start, end]."""
        total, until = 0.0, end
        for moment, share in reversed(self.timeline):
            since = max(moment, start)
            if since < until:
                total += share * (until - since).total_seconds()
                until = since
            if moment <= start:
                break
        return total / (end - start).total_seconds()

    def read(self, at: datetime, now: datetime) -> Reading:
        """What a source answers for the slot ``at``."""
        if at > now + timedelta(seconds=5):
            return Unknown(at, Lack.NODATA, "the time asked for is yet to come")
        if self.silent_until is not None and now < self.silent_until:
            return Unknown(at, self.lack, "the source says nothing of use")
        total = RATE * EVERY.total_seconds()
        bad = round(self.share(at - EVERY, at) * total)
        return Counts(at - EVERY, at, bad, bad, total, at)


def service(number: int, needs_people: bool) -> Service:
    """Every second one has a flag before its revert; four namespaces share them."""
    key = f"kubernetes:c/ns{number % 4}/deployment/s{number}"
    flag = f"f{number}" if number % 2 else None
    flags = (FlagsRung(f"flagd:shop/flags:{flag}"),) if flag else ()
    policy = replace(
        POLICY,
        name=f"s{number}",
        target=key,
        every=EVERY,
        watch=WATCH,
        timing=TIMING,
        mode=Mode.APPROVE if needs_people else Mode.AUTO,
        conditions=(CONDITION,),
        ladder=(*flags, RevertRung(key)),
        approvals=Approvals(1, 6 * EVERY),
    )
    return Service(policy, flag)
