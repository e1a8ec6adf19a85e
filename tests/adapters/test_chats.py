"""Slack and Teams against doubles of their documented limits: what stands in the channel, and that no text of strangers acts there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.slack import Slack
from rollbackd.adapters.teams import Teams
from tests.adapters.notices import ATTACK, HELD, HOSTILE, NOW, OVERSIZE, RECOVERED, SIGHTED, STARTED
from tests.doubles.chats import FLOW, HOOK, TOKEN, SlackDouble, TeamsDouble, units
from tests.exposition import Loopback, Reply, serving


@pytest.fixture
def workspace() -> SlackDouble:
    return SlackDouble()


@pytest.fixture
def slack_server(workspace: SlackDouble) -> Iterator[Loopback]:
    with serving(workspace) as server:
        yield server


@pytest.fixture
def hook(slack_server: Loopback, tmp_path: Path) -> Slack:
    (tmp_path / "hook").write_text(slack_server.url + HOOK)
    return Slack("oncall", now=lambda: NOW, url_file=tmp_path / "hook")


def bot(server: Loopback, folder: Path, *, token: str = TOKEN, channel: str = "C1") -> Slack:
    (folder / "token").write_text(token)
    return Slack("oncall", now=lambda: NOW, token_file=folder / "token", channel=channel, api_url=f"{server.url}/api")


def test_a_message_is_a_header_and_its_lines(hook: Slack, workspace: SlackDouble) -> None:
    hook.send(STARTED)
    (message,) = workspace.messages
    assert [block["text"]["text"] for block in message["blocks"]] == [STARTED.title, "\n".join(STARTED.lines)]
    assert message["text"] == STARTED.title


def test_a_message_without_lines_is_a_header(hook: Slack, workspace: SlackDouble) -> None:
    hook.send(SIGHTED)
    assert [block["type"] for block in workspace.messages[0]["blocks"]] == ["header"]


def test_marks_in_a_label_call_nobody_in_slack(hook: Slack, workspace: SlackDouble) -> None:
    hook.send(HOSTILE)
    (message,) = workspace.messages
    # The one text in which Slack looks for marks has none: what begins a mention or a link is escaped, and names are not linked.
    assert "<" not in message["text"]
    assert ">" not in message["text"]
    assert "&lt; !channel&gt; @here" in message["text"]
    assert (message["link_names"], message["mrkdwn"]) == (False, False)
    assert {block["text"]["type"] for block in message["blocks"]} == {"plain_text"}
    # Nor would it find any if it looked there.
    assert not any(re.search(r"<\S", block["text"]["text"]) for block in message["blocks"])
    assert ATTACK.replace("<", "< ") in message["blocks"][1]["text"]["text"]


def test_an_oversize_message_is_split_and_cut_within_slacks_limits(hook: Slack, workspace: SlackDouble) -> None:
    hook.send(OVERSIZE)
    (message,) = workspace.messages
    sections = [block["text"]["text"] for block in message["blocks"][1:]]
    assert len(sections) > 1
    assert max(map(units, sections)) <= 3000


def test_a_token_posts_to_its_channel_and_unfolds_no_links(slack_server: Loopback, workspace: SlackDouble, tmp_path: Path) -> None:
    bot(slack_server, tmp_path).send(RECOVERED)
    (message,) = workspace.messages
    assert (message["channel"], message["unfurl_links"], message["unfurl_media"]) == ("C1", False, False)
    assert TOKEN not in str(message)


@pytest.mark.parametrize(
    ("token", "channel", "said"),
    [
        pytest.param("xoxb-old", "C1", "answered invalid_auth; it was not delivered; write a token that is valid", id="token"),
        pytest.param(TOKEN, "C2", "answered channel_not_found; it was not delivered; check that the channel C2 exists", id="channel"),
    ],
)
def test_what_slack_refuses_with_200_is_permanent(slack_server: Loopback, tmp_path: Path, token: str, channel: str, said: str) -> None:
    with pytest.raises(Permanent, match=said):
        bot(slack_server, tmp_path, token=token, channel=channel).send(HELD)


@pytest.mark.parametrize(
    "answer",
    [b'{"ok": false, "error": "internal_error"}', b'{"ok": false, "error": "ratelimited"}', b"<html>sign in</html>", b"[]", b'{"ok": "yes"}', b""],
    ids=["internal", "throttled", "proxy-page", "list", "no-bool", "nothing"],
)
def test_what_may_pass_or_is_not_slacks_own_answer_is_transient(
    slack_server: Loopback, workspace: SlackDouble, tmp_path: Path, answer: bytes
) -> None:
    workspace.faults.append(Reply(200, answer))
    with pytest.raises(Transient, match="it will be sent again"):
        bot(slack_server, tmp_path).send(HELD)


def test_a_word_of_slacks_is_passed_on_and_anything_longer_is_not(hook: Slack, workspace: SlackDouble) -> None:
    workspace.faults += [Reply(410, b"channel_is_archived"), Reply(403, f"no access to {HOOK}".encode())]
    with pytest.raises(Permanent, match="HTTP 410: channel_is_archived; it was not delivered"):
        hook.send(HELD)
    with pytest.raises(Permanent, match="HTTP 403; it was not delivered"):
        hook.send(HELD)


@pytest.mark.parametrize("options", [{}, {"url_file": Path("/u"), "token_file": Path("/t")}, {"token_file": Path("/t")}, {"channel": "C1"}])
def test_slack_has_exactly_one_way_to_its_channel(options: dict[str, object]) -> None:
    with pytest.raises(Permanent, match="either url_file, or token_file and channel"):
        Slack("oncall", now=lambda: NOW, **options)  # type: ignore[arg-type]


@pytest.fixture
def workflow() -> TeamsDouble:
    return TeamsDouble()


@pytest.fixture
def teams_server(workflow: TeamsDouble) -> Iterator[Loopback]:
    with serving(workflow) as server:
        yield server


@pytest.fixture
def teams(teams_server: Loopback, tmp_path: Path) -> Teams:
    (tmp_path / "flow").write_text(teams_server.url + FLOW)
    return Teams("oncall", tmp_path / "flow", now=lambda: NOW)


def runs(card: dict[str, object]) -> list[dict[str, str]]:
    body = card["body"]
    assert isinstance(body, list)
    return [run for block in body for run in block["inlines"]]


def test_a_card_has_the_title_and_a_block_for_each_line(teams: Teams, workflow: TeamsDouble) -> None:
    teams.send(STARTED)
    (card,) = workflow.cards
    assert [run["text"] for run in runs(card)] == [STARTED.title, *STARTED.lines]


def test_a_card_shows_by_its_colour_whether_a_person_is_needed(teams: Teams, workflow: TeamsDouble) -> None:
    for notice in (STARTED, HELD, RECOVERED):
        teams.send(notice)
    assert [runs(card)[0]["color"] for card in workflow.cards] == ["Default", "Attention", "Good"]


def test_marks_in_a_label_are_text_in_teams(teams: Teams, workflow: TeamsDouble) -> None:
    teams.send(HOSTILE)
    (card,) = workflow.cards
    assert {run["type"] for run in runs(card)} == {"TextRun"}
    assert "entities" not in json.dumps(card["msteams"])
    assert f"why: pod {ATTACK}" in [run["text"] for run in runs(card)]


def test_an_oversize_card_is_cut_within_teams_limit(teams: Teams, workflow: TeamsDouble, teams_server: Loopback) -> None:
    teams.send(OVERSIZE)
    (request,) = teams_server.asked
    assert 20_000 < len(request.body) <= 28 * 1024
    assert len(workflow.cards) == 1


def test_a_workflow_that_repeats_its_address_shows_nothing_of_it(teams_server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "flow").write_text(f"{teams_server.url}/workflows/other?sig=hunter2")
    with pytest.raises(Permanent, match=f"the Teams workflow at {teams_server.address} answered HTTP 401; it was not delivered") as failed:
        Teams("oncall", tmp_path / "flow", now=lambda: NOW).send(HELD)
    assert "hunter2" not in str(failed.value)
