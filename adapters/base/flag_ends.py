"""Where each flag of a write ends, and which flags are left alone and why (I5). Reads and writes nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.flags import LEAVE, FlagProvider, Reading, State, named
from rollbackd.adapters.base.target import Json


@dataclass(frozen=True, slots=True)
class Ends:
    """``after``: the flags to write, and their end states. ``considered``: all that were asked about.

    ``spared``: those that are left alone though they do not stand at an end state; ``left`` says why, for people.
    """

    after: Mapping[str, State]
    considered: tuple[str, ...]
    spared: frozenset[str] = frozenset()
    left: tuple[str, ...] = ()


def safe(provider: FlagProvider, reading: Reading, names: Sequence[str], before: Mapping[str, Json]) -> Ends:
    """Each of the flags ``names`` at its safe state. ``before``: the states before the change, where anybody saw them.

    Raises Refused where a flag has no safe state.
    """
    after: dict[str, State] = {}
    left: dict[str, str] = {}
    for name in names:
        if provider.safe_states.get(name) == LEAVE:
            left[name] = f"{named([name])} stays as it is: its declared safe state is '{LEAVE}'"
        elif name in reading.guarded and name not in provider.safe_states:
            left[name] = f"{named([name])} stays as it is: {reading.guarded[name]}"
        else:
            end = safe_end(provider, name, reading.states[name], before.get(name))
            if end == reading.states[name]:
                continue
            if (why := held_by_dependents(provider, reading, name, end, names)) is not None:
                left[name] = why
            else:
                after[name] = end
    return Ends(after, tuple(names), frozenset(left), tuple(left.values()))


def held_by_dependents(provider: FlagProvider, reading: Reading, name: str, end: State, asked: Collection[str] = ()) -> str | None:
    """Why the flag is not put at ``end`` for the sake of one that depends on it; None if there is none such, or it does not go off.

    ``asked``: the flags that go to their safe states in the same write.
    """
    # Only a provider whose states have this field knows dependents.
    if end.get("enabled") is not False:
        return None
    for child in reading.dependents.get(name, ()):
        word = provider.safe_states.get(child)
        if child in reading.opposed.get(name, ()):
            # One that goes off in the same write does not come on.
            if word == LEAVE or (word == "off" and child not in asked):
                return f"{named([name])} stays as it is: {named([child])} would come on without it, but its declared safe state is '{word}'"
        elif word is None and child in reading.guarded:
            return f"{named([name])} stays as it is: {named([child])} depends on it and would go with it, but {reading.guarded[child]}"
        elif word not in (None, "off"):
            return f"{named([name])} stays as it is: {named([child])} depends on it and would go with it, but its declared safe state is '{word}'"
    return None


def safe_end(provider: FlagProvider, name: str, state: State, before: Json) -> State:
    """The flag's declared safe state, else its default for off, else its state before the change. Raises Refused if it has none of them."""
    word = provider.safe_states.get(name)
    if word == LEAVE:
        return state
    end = provider.safe_state(name, state, word)
    if end is not None:
        return end
    if isinstance(before, Mapping) and before:
        return before
    raise Refused(
        f"flag '{name}' has no declared safe state, no default for off, and its state before the change is unknown; nothing was changed",
        advice=f"declare safe_states: {{{name}: VARIANT}} for provider {provider.name}",
    )


def restored(reading: Reading, was: Mapping[str, State], became: Mapping[str, State]) -> Ends:
    """Each flag of a write of ours as it ``was``; a flag that is no longer as it ``became`` was touched by somebody since and stays."""
    after = {name: was[name] for name in was if reading.states.get(name) == became[name]}
    left = {name: _since(name, reading) for name in was if name not in after and reading.states.get(name) != was[name]}
    return Ends(after, tuple(was), frozenset(left), tuple(left.values()))


def _since(name: str, reading: Reading) -> str:
    what = "changed" if name in reading.states else "removed"
    return f"{named([name])} was {what} by somebody since and stays as it is"
