"""`rollbackd notify test`: a real command line, doubles of the other sides."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollbackd.controller.cli.main import outcome
from tests.doubles.chats import FLOW, TeamsDouble
from tests.doubles.mailbox import Mailbox, mailbox
from tests.doubles.pagerduty import KEY, PagerDutyDouble
from tests.exposition import serving
from tests.servers import free_port

CONFIG = """\
apiVersion: rollbackd/v1
kind: Config
sources: {{prometheus: {{url: "http://127.0.0.1:9090"}}}}
policies: [policies.d]
contacts:
  oncall:
    - pagerduty: {{key_file: key, url: "{pagerduty}"}}
    - teams: {{url_file: flow}}
    - email: {{host: 127.0.0.1, port: {mail}, tls: none, from: r@shop.example, to: [ada@shop.example, bob@shop.example]}}
  gone: [{{webhook: {{url: "http://127.0.0.1:{closed}/"}}}}]
  chat: [{{slack: {{url_file: no-such-file}}}}]
  mixed: [{{slack: {{url_file: no-such-file}}}}, {{webhook: {{url: "http://127.0.0.1:{closed}/"}}}}]
"""


@pytest.fixture
def service() -> PagerDutyDouble:
    return PagerDutyDouble()


@pytest.fixture
def workflow() -> TeamsDouble:
    return TeamsDouble()


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as box:
        yield box


@pytest.fixture
def config(tmp_path: Path, service: PagerDutyDouble, workflow: TeamsDouble, box: Mailbox) -> Iterator[Path]:
    with serving(service) as pagerduty, serving(workflow) as teams:
        (tmp_path / "key").write_text(KEY)
        (tmp_path / "flow").write_text(teams.url + FLOW)
        (tmp_path / "rollbackd.yaml").write_text(CONFIG.format(pagerduty=pagerduty.url, mail=box.port, closed=free_port()))
        yield tmp_path / "rollbackd.yaml"


def run(capsys: pytest.CaptureFixture[str], config: Path, *words: str) -> tuple[int, str, str]:
    code = outcome(["notify", "test", *words, "--config", str(config)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_every_channel_of_the_contact_gets_a_message_that_says_that_it_is_a_test(
    config: Path, capsys: pytest.CaptureFixture[str], service: PagerDutyDouble, workflow: TeamsDouble, box: Mailbox
) -> None:
    assert run(capsys, config, "oncall") == (0, "pagerduty     delivered\nteams         delivered\nemail         delivered\n", "")
    title = "TEST from rollbackd to oncall: nobody needs to do anything"
    assert [change["summary"] for change in service.changes] == [title]
    assert service.called == []
    assert workflow.cards[0]["body"][0]["inlines"][0]["text"] == title
    assert box.mails[0]["Subject"] == title
    assert "this is a test: nothing is wrong and nothing was rolled back" in box.mails[0].get_content()


def test_a_test_page_calls_somebody_until_it_is_resolved(config: Path, capsys: pytest.CaptureFixture[str], service: PagerDutyDouble) -> None:
    assert run(capsys, config, "oncall", "--as", "page")[0] == 0
    assert service.alerts == {"rollbackd-test:oncall": "triggered"}
    assert run(capsys, config, "oncall", "--as", "resolved")[0] == 0
    assert service.alerts == {"rollbackd-test:oncall": "resolved"}


def test_a_channel_at_fault_is_named_with_what_to_do_and_the_others_are_still_told(
    config: Path, capsys: pytest.CaptureFixture[str], service: PagerDutyDouble, box: Mailbox
) -> None:
    service.key = "another key"
    box.refuses["bob@shop.example"] = "550 5.1.1 no such user"
    code, out, _ = run(capsys, config, "oncall")
    pagerduty, teams, email = out.splitlines()
    assert code == 1
    assert pagerduty.startswith("pagerduty     not delivered: contact oncall: PagerDuty at 127.0.0.1:")
    assert pagerduty.endswith("; it was not delivered; correct the address or its secret")
    assert teams == "teams         delivered"
    assert email == "email         not delivered: not by all: bob@shop.example was refused: 550 5.1.1 no such user"


def test_a_channel_that_is_not_there_is_4_and_nothing_is_promised(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, config, "gone")
    assert code == 4
    assert "gave no answer (Connection refused); it is unknown whether it was delivered; try again" in out


def test_a_fault_to_mend_counts_more_than_a_silent_one(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, config, "chat")[0] == 1
    code, out, _ = run(capsys, config, "mixed")
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()] == ["slack", "webhook"]


def test_a_contact_that_is_not_there_is_usage_and_the_nearest_is_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, config, "onccall")
    assert (code, out) == (64, "")
    assert "there is no contact 'onccall'; did you mean 'oncall'? contacts: chat, gone, mixed, oncall" in err


def test_json_is_stable(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, config, "oncall", "-o", "json")
    assert json.loads(out) == {
        "apiVersion": "rollbackd/v1",
        "kind": "NotifyTest",
        "contact": "oncall",
        "channels": [{"channel": name, "result": "delivered", "said": ""} for name in ("pagerduty", "teams", "email")],
    }
