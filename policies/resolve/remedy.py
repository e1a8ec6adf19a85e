"""Targets and the ladder: what is watched and what is put back, as keys."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rollbackd.policies.documents.fleet import Select
from rollbackd.policies.documents.policy import FlagsItem, FlagsParts, OneRungItem, RestoreItem, RestoreParts, RevertItem, RungItem, TogetherItem
from rollbackd.policies.documents.targets import (
    AlbTarget,
    ByCommand,
    EcsTarget,
    OnAlb,
    OnEcs,
    OnKubernetes,
    OnRoute53,
    RdsInstance,
    Route53Target,
    TargetItem,
)
from rollbackd.policies.fleets.policy import NAME, NAMESPACE, Selection, strangers
from rollbackd.policies.model.keys import alb_key, command_key, ecs_key, flags_key, flags_scope, is_zone_id, kubernetes_key, rds_key, route53_key
from rollbackd.policies.model.policy import FlagsRung, Mode, RestoreRung, RevertRung, Rung
from rollbackd.policies.resolve.names import Names
from rollbackd.policies.text.faults import choices, quoted
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.text.yaml_text import Path

UNCHECKED = "default"


@dataclass(frozen=True, slots=True)
class References:
    """Checks what a document names against what the config offers; without a config everything named exists."""

    names: Names | None
    findings: Findings

    def check(self, name: str, known: frozenset[str], what: str, path: Path) -> None:
        """A fault where ``name`` is unknown, naming the known ones."""
        if name not in known:
            article = "an" if what[0] in "aeiou" else "a"
            self.findings.fault(path, f"{article} {what} of the daemon's config", quoted(name), choices(name, known, "known"))

    def target(self, item: TargetItem, path: Path) -> str:
        """The key of a written target."""
        match item:
            case OnKubernetes(kubernetes=where):
                return kubernetes_key(self._cluster(where.cluster, (*path, "kubernetes")), where.namespace, where.deployment)
            case OnEcs(ecs=service):
                account = self._account(service, (*path, "ecs"))
                return ecs_key(account, self._region(account, service, (*path, "ecs")), service.cluster, service.service)
            case OnAlb(alb=rule):
                account = self._account(rule, (*path, "alb"))
                return alb_key(account, self._region(account, rule, (*path, "alb")), rule.load_balancer, rule.port, rule.rule)
            case OnRoute53(route53=record):
                return self._route53(record, (*path, "route53"))
            case ByCommand(command=command):
                if self.names:
                    self.check(command.name, self.names.commands, "command", (*path, "command", "name"))
                return command_key(command.name)

    def _route53(self, record: Route53Target, path: Path) -> str:
        key = route53_key(self._account(record, path), record.zone, record.name)
        _, zone, name = key.split("/")
        if not is_zone_id(record.zone) and name != zone and not name.endswith(f".{zone}"):
            self.findings.fault((*path, "name"), f"a name of zone '{zone}'", quoted(record.name), f"it ends in '.{zone}', or is the zone itself")
        return key

    def _account(self, item: EcsTarget | AlbTarget | Route53Target | RdsInstance, path: Path) -> str:
        names = self.names
        if names is None or (item.account is None and len(names.accounts) == 1):
            return item.account or next(iter(names.accounts if names else ()), UNCHECKED)
        if item.account is not None:
            self.check(item.account, frozenset(names.accounts), "account", (*path, "account"))
        else:
            hint = f"there are several: {', '.join(sorted(names.accounts))}" if names.accounts else "the daemon's config has no accounts"
            self.findings.fault(path, "the key 'account'", "none", hint)
        return item.account or UNCHECKED

    def _region(self, account: str, item: EcsTarget | AlbTarget | RdsInstance, path: Path) -> str:
        regions = self.names.accounts.get(account, ()) if self.names else ()
        if item.region is not None:
            if regions and item.region not in regions:
                hint = choices(item.region, frozenset(regions), "known")
                self.findings.fault((*path, "region"), f"a region of account '{account}'", quoted(item.region), hint)
            return item.region
        if len(regions) > 1:
            self.findings.fault(path, "the key 'region'", "none", f"there are several: {', '.join(regions)}")
        return regions[0] if regions else UNCHECKED

    def fleet_target(self, select: Select) -> str:
        """The key of every member of a fleet, with blanks for its namespace and name."""
        return kubernetes_key(self.selection(select).cluster, NAMESPACE, NAME)

    def selection(self, select: Select) -> Selection:
        """What a fleet's selector is true of."""
        chosen = select.kubernetes
        cluster = self._cluster(chosen.cluster, ("spec", "select", "kubernetes"))
        return Selection(cluster, tuple(sorted(chosen.labels.items())), tuple(sorted(set(chosen.namespaces or ()))))

    def _cluster(self, written: str | None, path: Path) -> str:
        if written:
            if self.names:
                self.check(written, self.names.clusters, "cluster", (*path, "cluster"))
            return written
        if self.names is None:
            return UNCHECKED
        if self.names.default_cluster is None:
            self.findings.fault(path, "the key 'cluster'", "none", f"there are several: {', '.join(sorted(self.names.clusters))}")
        return self.names.default_cluster or UNCHECKED

    def ladder(self, items: Sequence[RungItem], watched: str, *, is_fleet: bool = False) -> tuple[Rung, ...]:
        """The rungs, in the order written. Those of a fleet put each member itself back, and may name its flags by $name and $namespace."""
        rungs: list[Rung] = []
        for index, item in enumerate(items):
            path: Path = ("spec", "remedy", index)
            if isinstance(item, TogetherItem):
                rungs += self._together(item, watched, path, rungs, is_fleet=is_fleet)
            elif isinstance(item, RestoreItem):
                rungs.append(self._restore(item.restore, (*path, "restore"), left=len(items) - index - 1, is_fleet=is_fleet))
            else:
                rungs.append(self._own_rung(item, watched, path, rungs, is_fleet=is_fleet))
        return tuple(rungs)

    @property
    def _is_read(self) -> bool:
        """Whether the ladder was read whole: else a rung may be another one than it seems."""
        return self.findings.is_whole(("spec", "remedy"))

    def _together(self, item: TogetherItem, watched: str, path: Path, before: Sequence[Rung], *, is_fleet: bool) -> list[Rung]:
        """The rungs of one entry. Two of one target would write it twice at once, and neither would know what it finds."""
        if len(item.together) == 1:
            self.findings.fault((*path, "together"), "two rungs or more", "one", "one alone is an entry of its own")
        found: list[Rung] = []
        for index, one in enumerate(item.together):
            here = (*path, "together", index)
            rung = self._own_rung(one, watched, here, (*before, *found), is_fleet=is_fleet)
            if self._is_read and rung.target in {each.target for each in found}:
                self.findings.fault(here, "a rung of another target", "one of the same", "what begins at once may not write the same thing")
            found.append(replace(rung, with_next=index < len(item.together) - 1))
        return found

    def _own_rung(self, item: OneRungItem, watched: str, path: Path, before: Sequence[Rung], *, is_fleet: bool) -> Rung:
        rung = self._rung(item, watched, path)
        if is_fleet:
            self._check_fleet(item, path)
        if self._is_read and rung in [replace(each, with_next=False) for each in before]:
            self.findings.fault(path, "a rung of its own", "the same as an earlier one", "no rung is repeated")
        return rung

    def _rung(self, item: OneRungItem, watched: str, path: Path) -> Rung:
        match item:
            case FlagsItem(flags=flags):
                return self._flags(flags, (*path, "flags"))
            case RevertItem(revert=revert):
                target = self.target(revert.target, (*path, "revert", "target")) if revert.target else watched
                return RevertRung(target, revert.always, _mode(revert.mode))

    def _restore(self, parts: RestoreParts, path: Path, *, left: int, is_fleet: bool) -> RestoreRung:
        """The rung, which is the last of its ladder: ``left`` rungs are written after it."""
        if is_fleet:
            self.findings.fault(path, "no 'restore' in a fleet", "one", "every member would restore the same data; leave the rung out")
        if left:
            hint = "what is cheaper and loses nothing is tried first; move it to the end"
            self.findings.fault(path, "'restore' as the last rung", f"{left} after it", hint)
        where, at = parts.target.rds, (*path, "target", "rds")
        account = self._account(where, at)
        key = rds_key(account, self._region(account, where, at), where.instance, parts.origin)
        return RestoreRung(key, min(_mode(parts.mode), Mode.APPROVE))

    def _check_fleet(self, item: OneRungItem, path: Path) -> None:
        if isinstance(item, RevertItem):
            if item.revert.target is not None:
                hint = "every member would put back the same thing; leave the key out"
                self.findings.fault((*path, "revert", "target"), "no 'target' in a fleet", "one", hint)
            return
        for name in filter(None, (item.flags.tag, item.flags.environment, *(item.flags.flags or ()))):
            if unknown := strangers(name):
                hint = "these two stand for the member's name and namespace"
                self.findings.fault((*path, "flags"), "a name with $name or $namespace", quoted(unknown[0]), hint)

    def _flags(self, flags: FlagsParts, path: Path) -> FlagsRung:
        scopes = [name for name in ("tag", "flags", "all") if getattr(flags, name) is not None]
        if len(scopes) != 1:
            found = " and ".join(f"'{scope}'" for scope in scopes) or "none of them"
            self.findings.fault(path, "one of 'tag', 'flags' and 'all: true'", found, "which flags are meant is always said")
        if flags.always and flags.only == "changed":
            hint = "without a suspect change of the flags there is nothing to put back"
            self.findings.fault((*path, "only"), "'all' beside 'always: true'", "'changed'", hint)
        kind = self._provider(flags, path)
        place = self.names.flag_places.get(flags.provider, flags.provider) if self.names else flags.provider
        key = flags_key(kind, place, flags.environment, flags_scope(flags.tag, flags.flags))
        only = flags.only or ("all" if flags.always else "changed")
        return FlagsRung(key, only == "changed", flags.always, _mode(flags.mode))

    def _provider(self, flags: FlagsParts, path: Path) -> str:
        """The provider's kind; its name where no config says otherwise."""
        names = self.names
        if names is None:
            return flags.provider
        self.check(flags.provider, frozenset(names.flag_providers), "flag provider", (*path, "provider"))
        kind = names.flag_providers.get(flags.provider, flags.provider)
        if flags.provider in names.flag_providers:
            for key, able in (("tag", names.tagged), ("environment", names.with_environments)):
                if getattr(flags, key) and flags.provider not in able:
                    self.findings.fault((*path, key), f"no '{key}'", quoted(getattr(flags, key)), f"a {kind} provider has none")
            if flags.provider in names.with_environments and not flags.environment:
                self.findings.fault(path, "the key 'environment'", "none", f"{kind} keeps a state of each flag for every environment")
        return kind


def _mode(word: str | None) -> Mode:
    return Mode[word.upper()] if word else Mode.AUTO
