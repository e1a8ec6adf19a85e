"""Checks of what lies on this machine: the policies, the files that the config names, the data folder, the journal, the pause switch."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from rollbackd.controller.config.paths import paths_in
from rollbackd.controller.config.values import Config
from rollbackd.controller.doctor.findings import Finding, Grade
from rollbackd.controller.doctor.surroundings import Surroundings
from rollbackd.controller.journal.database import Database, database
from rollbackd.controller.journal.errors import StoreError, StoreUnfit
from rollbackd.controller.journal.inspection import inspected
from rollbackd.controller.numbers import counted
from rollbackd.controller.pause.file import Pause
from rollbackd.controller.pause.shared import SharedPause
from rollbackd.controller.secret_files import is_secret

NOT_HERE = ("policies", "data_dir", "api.token_file", "contacts.")
"""Paths of the config that need not be there, or are looked at by another check."""
TO_READ = "mount it, or give the user that rollbackd runs as the right to read it"
ANYBODY = 0o007
MEND = "run doctor as the daemon's user, or mend the rights"
LITTLE, TOO_LITTLE = 1 << 30, 100 << 20
"""Bytes of free space: below the first, somebody should look; below the second, the journal may soon not take an intent."""


def config(around: Surroundings) -> Iterator[Finding]:
    """The config loaded, and every file that it names can be read: secrets, authorities, kubeconfigs, flag files. No content is shown."""
    found = around.config
    numbers = {"source": len(found.sources), "cluster": len(found.clusters), "flag provider": len(found.flags), "contact": len(found.contacts)}
    parts = ", ".join(counted(number, one) for one, number in numbers.items())
    yield Finding("config", around.file, Grade.PASS, f"sound: {parts}; mode_cap {found.mode_cap.name.lower()}")
    for trail, fault in unreadable(found):
        if not trail.startswith(NOT_HERE):
            yield Finding("config", trail, Grade.FAIL, fault, TO_READ)
    yield from _open_to_all(found)


def _open_to_all(found: Config) -> Iterator[Finding]:
    """Secrets that anybody on this machine may read or write. A group may: so are they mounted for a user that is not root (fsGroup)."""
    for trail, file in paths_in(found):
        if is_secret(trail) or trail.startswith("api.people."):
            try:
                mode = file.stat().st_mode & 0o777
            except OSError:  # said by who reads it, or not made yet
                continue
            if mode & ANYBODY:
                yield Finding("config", trail, Grade.WARN, f"anybody may use {file} (mode {mode:04o})", f"chmod o= {file}, or defaultMode: 0440")


def unreadable(part: object, trail: str = "") -> Iterator[tuple[str, str]]:
    """Every file that a part of the config names and that cannot be read or is empty: where it stands, and why."""
    for place, file in paths_in(part, trail):
        if fault := _unreadable(file):
            yield place, f"{file} {fault}"


def _unreadable(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            return None if opened.read(1) else "is empty"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def policies(around: Surroundings) -> Iterator[Finding]:
    """The policies load against the names of the config."""
    loaded = around.loaded
    gone = {str(place) for place in around.config.policies if not place.exists()}
    yield from (Finding("policies", place, Grade.FAIL, "is not there", "mount it, or correct `policies`") for place in sorted(gone))
    for grade, faults in ((Grade.FAIL, loaded.faults), (Grade.WARN, loaded.warnings)):
        for fault in faults:
            if fault.file not in gone:
                yield Finding("policies", f"{fault.file}:{fault.line}", grade, f"{fault.trail}: {fault.message}", "see `rollbackd check`")
    places = ", ".join(map(str, around.config.policies))
    sound = [*loaded.policies, *(fleet.template for fleet in loaded.fleets)]
    if not sound:
        yield Finding("policies", places, Grade.FAIL, "no policy is loaded: nothing is watched", "write one; see `rollbackd check`")
        return
    modes = {policy.mode.name.lower() for policy in sound}
    yield Finding("policies", places, Grade.PASS, f"{len(sound)} sound, in mode {', '.join(sorted(modes))}")


def store(around: Surroundings) -> Iterator[Finding]:
    """The journal can be read, is of a version that this rollbackd works with, and there is room for it. Beside a running daemon, too."""
    folder = around.config.data_dir
    if not folder.is_dir():
        yield Finding("store", str(folder), Grade.WARN, "data_dir is not there yet", "the daemon makes it at its first start, if it may")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("store", str(folder), Grade.FAIL, f"not writable for uid {os.geteuid()}: a daemon does not start there", MEND)
    try:
        place = database(around.config.store, around.config.store_password)
        yield from _shared(place) if place.file is None else _file(place, place.file, folder)
    except (StoreError, OSError) as fault:
        yield Finding("store", "journal", Grade.FAIL, str(fault), "the daemon does not start on it", reached=_reached(around.config, fault))


def _reached(config: Config, fault: Exception) -> bool | None:
    """False where a server keeps the journal, and gave no answer; None where nothing outside was asked."""
    return False if config.store.startswith("postgresql") and not isinstance(fault, StoreUnfit) else None


def _file(place: Database, file: Path, folder: Path) -> Iterator[Finding]:
    if file.parent.is_dir():
        if file.exists():
            yield _unwritable(file) or _journal(place)
        else:
            yield Finding("store", str(file), Grade.WARN, "no journal yet", "the daemon makes it at its first start")
        yield _room(file.parent)
    elif file.parent != folder:
        yield Finding("store", str(file), Grade.FAIL, f"its folder {file.parent} is not there", "make it, or mount the volume")


def _unwritable(file: Path) -> Finding | None:
    """The journal's files that are there and take no writes. Asked, not tried: a doctor writes nothing."""
    parts = (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm"))
    if not (closed := [part.name for part in parts if part.exists() and not os.access(part, os.W_OK)]):
        return None
    advice = f"{MEND}: without them no intent is durable, and nothing is undone"
    return Finding("store", str(file), Grade.FAIL, f"not writable for uid {os.geteuid()}: {', '.join(closed)}", advice)


def _shared(place: Database) -> Iterator[Finding]:
    """The server answers, and keeps what it was given; raises StoreError where nothing can be asked."""
    yield _journal(place)
    with inspected(place) as look:
        settings = look.settings("fsync", "full_page_writes")
    for name, value in settings.items():
        if value == "off":
            advice = "turn it on: a power cut may take intents with it, or the whole journal"
            yield Finding("store", place.place, Grade.FAIL, f"the server runs with {name} = off", advice)


def _journal(place: Database) -> Finding:
    """Raises StoreError or OSError where it cannot be looked at."""
    with inspected(place) as look:
        if look.is_current:
            return Finding("store", place.place, Grade.PASS, f"opens; schema {look.version}, {look.rows} rows in the journal")
        return Finding("store", place.place, Grade.WARN, f"schema {look.version or 'none'} is not the newest", "the daemon migrates it at its start")


def _room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    said = f"{free / (1 << 20):,.0f} MiB free"
    if free < LITTLE:
        return Finding("store", str(folder), Grade.FAIL if free < TOO_LITTLE else Grade.WARN, said, "make room: without it no intent is durable")
    return Finding("store", str(folder), Grade.PASS, said)


def pause(around: Surroundings) -> Iterator[Finding]:
    """Whether the switch is on, here or for all who share the journal, and whether it can be read at all."""
    switch = Pause(around.config.data_dir / "pause")
    reason = switch.read() if around.config.data_dir.is_dir() else None
    if reason is None:
        yield _paused_elsewhere(around.config, switch)
    elif "unreadable means paused" in reason:
        yield Finding("pause", str(switch.file), Grade.FAIL, reason, "make the file readable, or remove it")
    else:
        yield Finding("pause", str(switch.file), Grade.WARN, f"paused: {reason}", "rollbackd resume")


def _paused_elsewhere(config: Config, here: Pause) -> Finding:
    """Where nothing is said here: what the newest word in a shared journal is."""
    try:
        place = database(config.store, config.store_password)
        return _of_all(place, here) if place.is_shared else Finding("pause", str(here.file), Grade.PASS, "not paused")
    except (StoreError, OSError) as fault:
        said = f"whether another replica has paused all cannot be read; unreadable means paused: {fault}"
        return Finding("pause", "journal", Grade.FAIL, said, "see the line of the store", reached=_reached(config, fault))


def _of_all(place: Database, here: Pause) -> Finding:
    """Raises StoreError or OSError where it cannot be looked at."""
    with inspected(place) as look:
        if look.version is not None and not look.is_current:
            said = f"not paused here; whether for all is not known: schema {look.version} is not the newest"
            return Finding("pause", place.place, Grade.WARN, said, "the daemon migrates it at its start, then ask again")
        reason = SharedPause(here.file, look.reading).anywhere() if look.is_current else None
    if reason is None:
        return Finding("pause", str(here.file), Grade.PASS, "not paused")
    return Finding("pause", place.place, Grade.WARN, f"paused: {reason}", "rollbackd resume")
