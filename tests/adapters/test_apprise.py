"""apprise for real, with its JSON service and a receiver on loopback."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rollbackd.adapters.apprise import Apprise
from rollbackd.adapters.base.errors import Permanent, Transient
from tests.adapters.notices import HELD, RECOVERED
from tests.exposition import Reply, serving
from tests.servers import free_port

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def test_a_notice_is_handed_to_every_address(tmp_path: Path) -> None:
    file = tmp_path / "urls"
    with serving(Reply(200)) as server:
        file.write_text(f"json://{server.address}/one\n\njson://{server.address}/two\n")
        Apprise("oncall", file).send(HELD)
        assert sorted(request.path for request in server.asked) == ["/one", "/two"]
        said = json.loads(server.asked[0].body)
    assert (said["title"], said["message"], said["type"]) == (HELD.title, "\n".join(HELD.lines), "warning")


def test_text_of_strangers_calls_nobody_and_links_nowhere(tmp_path: Path) -> None:
    foreign = "see runbook\nnothing to do <!channel> <@U1> @Everyone @here [approve](https://evil.example)"
    with serving(Reply(200)) as server:
        (tmp_path / "urls").write_text(f"json://{server.address}/one")
        Apprise("oncall", tmp_path / "urls").send(replace(HELD, title=foreign, lines=(foreign,)))
        said = json.loads(server.asked[0].body)
    blunt = "see runbook nothing to do < !channel> < @U1> @ Everyone @ here [approve] (https://evil.example)"
    assert (said["title"], said["message"]) == (blunt, blunt)


def test_an_end_is_no_warning(tmp_path: Path) -> None:
    with serving(Reply(200)) as server:
        (tmp_path / "urls").write_text(f"json://{server.address}/one")
        Apprise("oncall", tmp_path / "urls").send(RECOVERED)
        assert json.loads(server.asked[0].body)["type"] == "info"


def test_one_address_that_fails_is_a_failure(tmp_path: Path) -> None:
    with serving(Reply(200)) as server:
        (tmp_path / "urls").write_text(f"json://{server.address}/one\njson://127.0.0.1:{free_port()}/two")
        with pytest.raises(Transient, match="apprise did not deliver it and does not say why"):
            Apprise("oncall", tmp_path / "urls").send(HELD)


def test_an_address_that_apprise_does_not_know_is_named_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text("json://127.0.0.1:1/\nnosuch://hunter2@x\n")
    with pytest.raises(Permanent, match=r"address 2 in .* is none that apprise knows") as failed:
        Apprise("oncall", tmp_path / "urls").send(HELD)
    assert "hunter2" not in str(failed.value)


def test_without_the_extra_a_contact_says_how_to_install_it_and_nothing_else_needs_it() -> None:
    code = """
import sys
from pathlib import Path
sys.modules["apprise"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "apprise" else find(name)
from rollbackd.adapters.apprise import Apprise
from rollbackd.adapters.base.errors import Permanent
try:
    Apprise("oncall", Path("/urls"))
except Permanent as fault:
    print(fault)
"""
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "contact oncall names apprise, which is not installed; install it with: pip install 'rollbackd[apprise]'\n"


def test_apprise_is_imported_with_the_first_message_only() -> None:
    code = "import sys, pathlib; from rollbackd.adapters.apprise import Apprise; Apprise('c', pathlib.Path('/u')); print('apprise' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "False\n"
