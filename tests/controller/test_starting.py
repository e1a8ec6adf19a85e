"""What a daemon that cannot start says: one sentence with what to do, no exception's name, and exit code 1."""

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rollbackd.controller.journal.store import Store
from rollbackd.controller.starting import hold
from tests.rights import OBEYING
from tests.servers import free_port

CONFIG = """\
apiVersion: rollbackd/v1
kind: Config
sources: {prometheus: {url: "http://127.0.0.1:9090"}}
policies: [.]
"""
UID = os.geteuid()
Start = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """What `rollbackd run` says where it may write only what the modes of files allow; it must have ended with 1."""

    def run(**config: str) -> str:
        config = {"data_dir": f"{tmp_path}/data", **config}
        (tmp_path / "rollbackd.yaml").write_text(CONFIG + "".join(f"{key}: {value}\n" for key, value in config.items()))
        command = [*OBEYING, sys.executable, "-c", "from rollbackd.controller.cli.main import main; main()", "run"]
        done = subprocess.run([*command, "--config", str(tmp_path / "rollbackd.yaml")], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1, done.stderr
        return done.stderr

    return run


@pytest.mark.parametrize(("key", "other"), [("api", {}), ("health", {"api": "{listen: '127.0.0.1:0'}"})])
def test_a_port_that_is_taken_is_named_as_the_config_does(start: Start, key: str, other: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = start(**{**other, key: f"{{listen: '127.0.0.1:{port}'}}"})
    advice = f"stop who listens there (ss -ltnp 'sport = :{port}' names it), or name another port"
    assert said == f"rollbackd: {key}.listen 127.0.0.1:{port} is taken; nothing was started; {advice}\n"


def test_a_journal_that_another_daemon_writes_is_refused_wherever_its_data_dir_is(start: Start, tmp_path: Path) -> None:
    journal = tmp_path / "data" / "rollbackd.db"
    with hold(journal.parent, journal):
        said = start(data_dir=f"{tmp_path}/elsewhere", store=f"sqlite:///{journal}")
    advice = "stop it, or give this one a journal of its own: daemons that share one keep it in PostgreSQL"
    assert said == f"rollbackd: another rollbackd writes to {journal}; nothing was started; {advice}\n"


def test_an_address_of_another_machine_is_named(start: Start) -> None:
    said = start(api="{listen: '192.0.2.1:8080'}")
    assert said.startswith(
        "rollbackd: api.listen 192.0.2.1:8080 cannot be listened on (Cannot assign requested address); nothing was started; name an"
    )


def test_a_data_dir_that_takes_no_files_is_named_with_who_must_be_allowed(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o555)
    found = f"data_dir {tmp_path}/data cannot be made or written (Permission denied: {tmp_path}/data/lock); nothing was started"
    assert (
        start() == f"rollbackd: {found}; mount it writable, give uid {UID} the right to write there (in a pod: fsGroup), or name another data_dir\n"
    )


def test_a_data_dir_that_cannot_be_made_is_named(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    said = start(data_dir=f"{tmp_path}/file/nowhere")
    assert said.startswith(f"rollbackd: data_dir {tmp_path}/file/nowhere cannot be made or written (Not a directory: ")


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        pytest.param(0o600, "rollbackd: {file} holds no token: expected one line of plain text; remove the file and restart", id="empty"),
        pytest.param(
            0o000, "rollbackd: api.token_file or a token_file of api.people: {file} cannot be read or made (Permission denied)", id="denied"
        ),
    ],
)
def test_a_token_that_cannot_be_had_is_named(start: Start, tmp_path: Path, mode: int, said: str) -> None:
    file = tmp_path / "token"
    file.touch(mode)
    found = start(api=f"{{listen: '127.0.0.1:{free_port()}', token_file: {file}}}")
    assert found.startswith(said.format(file=file))
    assert "nothing was started" in found


def test_a_journal_of_a_newer_rollbackd_is_a_sentence(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    Store.open(f"sqlite:///{tmp_path}/data/rollbackd.db", "one").close()
    with sqlite3.connect(tmp_path / "data" / "rollbackd.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9999'")
    connection.close()
    assert start().startswith("rollbackd: store: schema version 'v9999' is unknown to this rollbackd")
