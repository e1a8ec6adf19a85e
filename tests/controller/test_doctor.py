"""What the doctor says of what lies on this machine, and how the command ends."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Permanent
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.clock import now
from rollbackd.controller.doctor.checks import examine
from rollbackd.controller.doctor.findings import Finding, Grade
from rollbackd.controller.doctor.surroundings import Surroundings
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import How, SeenChange, Standing
from rollbackd.policies.known.changes import Change
from tests.controller.patient import Patient, contents, report, shop_policy
from tests.exposition import Reply, serving
from tests.postgres import Postgres
from tests.rights import OBEYING
from tests.servers import free_port

Run = Callable[..., tuple[int, str, str]]
SHOP = "command:shop"


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


@pytest.fixture
def store(patient: Patient) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{patient.folder}/data/rollbackd.db", "one")
    yield store
    store.close()


@pytest.fixture
def doctor(patient: Patient, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command's exit code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = outcome(["doctor", "--config", str(patient.file), *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


# --- the command ----------------------------------------------------------------------------------------------------------------------------------


def test_the_report_has_a_line_for_each_thing_and_a_dead_source_is_one_of_them(doctor: Run, store: Store) -> None:
    code, out, err = doctor("-o", "json")
    lines = report(out)
    assert code == 2
    assert [line for line in lines if line[2] == "fail"] == [("sources", "prometheus", "fail")]
    assert {check for check, _, _ in lines} == {"config", "policies", "sources", "targets", "known goods", "contacts", "store", "pause"}
    assert err == "7 passed, 1 warning, 1 failed\n"


def test_what_there_is_one_of_is_said_in_the_singular(doctor: Run) -> None:
    found = json.loads(doctor("-o", "json")[1])["findings"][0]["found"]
    assert found == "sound: 1 source, 1 cluster, 0 flag providers, 1 contact; mode_cap auto"


def test_the_table_shows_grade_subject_and_what_to_do(doctor: Run) -> None:
    _, out, _ = doctor()
    (line,) = [line for line in out.splitlines() if " known goods " in line]
    assert line.startswith("WARN  known goods  journal")
    assert line.endswith("rollbackd good TARGET REVISION")


def test_json_is_versioned_and_counts(doctor: Run) -> None:
    document = json.loads(doctor("-o", "json")[1])
    assert (document["apiVersion"], document["kind"], set(document)) == ("rollbackd/v1", "DoctorReport", {"apiVersion", "kind", "counts", "findings"})
    assert sum(document["counts"].values()) == len(document["findings"])
    assert set(document["findings"][0]) == {"check", "subject", "grade", "found", "advice"}


def test_4_if_everything_outside_was_asked_in_vain(patient: Patient, doctor: Run) -> None:
    (patient.folder / "version").unlink()
    assert doctor()[0] == 4


def test_4_where_the_server_of_the_journal_is_silent_too(patient: Patient, doctor: Run) -> None:
    (patient.folder / "version").unlink()
    patient.config = {"store": f"postgresql://rollbackd@127.0.0.1:{free_port()}/rollbackd"}
    assert doctor()[0] == 4


def test_what_failed_without_asking_anybody_is_2_though_nothing_outside_answers(patient: Patient, doctor: Run) -> None:
    (patient.folder / "version").unlink()
    (patient.folder / "secret").unlink()
    assert doctor()[0] == 2


def test_a_faulty_config_is_a_line_for_each_fault_and_nothing_else(patient: Patient, doctor: Run) -> None:
    patient.config = {"mode_cap": "never", "contact": {}}
    code, out, _ = doctor("-o", "json")
    assert (code, [line[0::2] for line in report(out)]) == (2, [("config", "fail")] * 2)


def test_doubt_alone_is_fine_unless_it_is_asked_to_be_strict(patient: Patient, doctor: Run, store: Store) -> None:
    with serving(Reply(body=b"up 1\n")) as page:
        patient.config = {"sources": {"pages": {"kind": "scrape", "targets": [{"urls": [page.url]}]}}}
        assert (doctor()[0], doctor("--strict")[0], doctor("-o", "json")[2]) == (0, 2, "8 passed, 1 warning, 0 failed\n")


def test_no_secret_of_a_contact_is_shown(doctor: Run) -> None:
    _, out, err = doctor("-o", "json")
    assert "whsec_" not in out + err
    assert "hook-4711" not in out + err


def test_nothing_is_written_made_or_locked(patient: Patient, doctor: Run, store: Store) -> None:
    file = patient.file
    before = contents(patient.folder)
    with store.transaction():  # another process writes all the while
        outcome(["doctor", "--config", str(file)])
    assert contents(patient.folder) == before


def test_nothing_is_made_where_no_daemon_has_run_yet(patient: Patient) -> None:
    (patient.folder / "data").rmdir()
    file = patient.file
    before = contents(patient.folder)
    outcome(["doctor", "--config", str(file)])
    assert (contents(patient.folder), (patient.folder / "data").exists()) == (before, False)


# --- one check beside the others ------------------------------------------------------------------------------------------------------------------


def test_a_check_that_hangs_is_a_failure_that_keeps_what_it_had_found_and_the_others_are_heard(patient: Patient) -> None:
    never = threading.Event()

    def hangs(_: Surroundings) -> Iterator[Finding]:
        yield Finding("hangs", "first", Grade.PASS, "well")
        never.wait()

    fine = Finding("fine", "all", Grade.PASS, "well")
    found = examine(patient.around(), within=timedelta(milliseconds=300), checks={"hangs": hangs, "fine": lambda _: [fine]})
    never.set()
    assert [(f.subject, f.grade) for f in found] == [("first", Grade.PASS), ("all", Grade.FAIL), ("all", Grade.PASS)]


def test_a_check_that_breaks_keeps_what_it_had_found(patient: Patient) -> None:
    def breaks(_: Surroundings) -> Iterator[Finding]:
        yield Finding("breaks", "first", Grade.PASS, "well")
        raise ValueError("no")

    found = examine(patient.around(), within=timedelta(seconds=10), checks={"breaks": breaks})
    assert [f.found for f in found] == ["well", "the check broke: ValueError: no"]


# --- config, policies, contacts -------------------------------------------------------------------------------------------------------------------


def test_every_file_that_the_config_names_must_be_readable(patient: Patient) -> None:
    (patient.folder / "empty").touch()
    patient.config = {
        "sources": {"prometheus": {"url": "http://127.0.0.1:1", "token_file": "gone"}},
        "clusters": {"west": {"kubeconfig": "empty"}},
    }
    found = [(f.subject, f.found.replace(f"{patient.folder}/", "")) for f in patient.findings("config") if f.grade is Grade.FAIL]
    assert found == [
        ("sources.prometheus.token_file", "gone cannot be read (No such file or directory)"),
        ("clusters.west.kubeconfig", "empty is empty"),
    ]


def test_a_contact_whose_secret_is_gone_fails(patient: Patient) -> None:
    (patient.folder / "secret").unlink()
    assert patient.lines("contacts") == [("contacts", "contacts.oncall[0].secret_file", "fail")]


@pytest.mark.parametrize(
    ("channel", "text", "said"),
    [
        pytest.param({"webhook": {"url": "http://h", "secret_file": "s"}}, "\n", "holds no secret", id="webhook-secret"),
        pytest.param({"webhook": {"url_file": "s"}}, "http://a\nhttp://b\n", "must hold one address on one line", id="webhook-address"),
        pytest.param({"slack": {"url_file": "s"}}, "http://a\nhttp://b\n", "must hold one address on one line", id="slack-address"),
        pytest.param({"slack": {"token_file": "s", "channel": "c"}}, "\n", "must hold one token on one line", id="slack-token"),
        pytest.param({"teams": {"url_file": "s"}}, "\n", "must hold one address on one line", id="teams"),
        pytest.param({"pagerduty": {"key_file": "s"}}, "k\u00e9y\n", "must hold one integration key in plain ASCII", id="pagerduty"),
        pytest.param(
            {"email": {"host": "h", "from": "a@h", "to": ["b@h"], "username": "a", "password_file": "s"}},
            "a\nb\n",
            "must hold one password on one line",
            id="email",
        ),
        pytest.param({"apprise": {"urls_file": "s"}}, "nonsense\n", "is none that apprise knows", id="apprise"),
    ],
)
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_a_secret_that_no_message_could_be_sent_with_fails_as_the_message_would(
    patient: Patient, channel: dict[str, object], text: str, said: str
) -> None:
    (patient.folder / "s").write_text(text)
    (patient.folder / "s").chmod(0o640)
    patient.config = {"contacts": {"oncall": [channel, {"alertmanager": {"urls": ["http://127.0.0.1:9093"]}}]}}
    finding = patient.only("contacts")
    assert (finding.subject, finding.grade, said in finding.found) == ("oncall", Grade.FAIL, True)


def test_a_secret_that_anybody_may_use_is_a_warning_and_one_for_a_group_is_not(patient: Patient) -> None:
    token, own = patient.folder / "data" / "api.token", patient.folder / "ann"
    for file, mode in ((patient.folder / "secret", 0o604), (token, 0o602), (own, 0o440)):
        file.touch()
        file.chmod(mode)
    patient.config = {"api": {"people": {"ann": {"token_file": str(own)}}}}
    doubtful = {finding.subject: finding.found for finding in patient.findings("config") if finding.grade is Grade.WARN}
    assert doubtful == {
        "api.token_file": f"anybody may use {token} (mode 0602)",
        "contacts.oncall[0].secret_file": f"anybody may use {patient.folder}/secret (mode 0604)",
    }


def test_every_kind_of_channel_must_find_its_secrets(patient: Patient) -> None:
    mail = {"host": "mail.example", "from": "a@shop.example", "to": ["b@shop.example"], "username": "a", "password_file": "gone"}
    patient.config = {
        "contacts": {"oncall": [{"pagerduty": {"key_file": "gone"}}], "team": [{"email": mail}], "chat": [{"pagerduty": {"key_file": "secret"}}]}
    }
    assert [(f.subject, f.grade.value) for f in patient.findings("contacts")] == [
        ("chat", "pass"),
        ("contacts.oncall[0].key_file", "fail"),
        ("contacts.team[0].password_file", "fail"),
    ]
    assert patient.findings("contacts")[0].found == "can be told through pagerduty; nothing was sent"


def test_a_policy_that_may_act_and_tells_nobody_is_a_warning(patient: Patient) -> None:
    patient.policies = {"shop": shop_policy().replace("  notify:\n  - oncall\n", "")}
    assert [grade for _, _, grade in patient.lines("policies")] == ["warn", "pass"]


def test_no_contact_at_all_is_a_warning(patient: Patient) -> None:
    patient.config = {"contacts": {}}
    patient.policies = {"shop": shop_policy().replace("  notify:\n  - oncall\n", "")}
    assert patient.lines("contacts") == [("contacts", "config", "warn")]


def test_a_policy_s_faults_are_lines_and_the_others_are_checked(patient: Patient) -> None:
    patient.policies = {"shop": shop_policy(), "typo": shop_policy("typo", metrics="istoi")}
    lines = patient.lines("policies")
    assert [(subject.partition(":")[0], grade) for _, subject, grade in lines] == [("policies.d/typo.yaml", "fail"), ("policies.d", "pass")]


def test_a_folder_of_policies_that_is_not_there_is_named_once(patient: Patient) -> None:
    patient.config = {"policies": ["nowhere"]}
    assert [(f.subject.rpartition("/")[2], f.found) for f in patient.findings("policies")] == [
        ("nowhere", "is not there"),
        ("nowhere", "no policy is loaded: nothing is watched"),
    ]


def test_no_policy_is_a_failure(patient: Patient) -> None:
    patient.policies = {"typo": shop_policy(metrics="istoi")}
    assert ("policies", f"{patient.folder}/policies.d", "fail") in [(f.check, f.subject, f.grade.value) for f in patient.findings("policies")]


# --- the journal -------------------------------------------------------------------------------------------------------------------------------


def test_an_open_journal_is_read_beside_its_daemon(patient: Patient, store: Store) -> None:
    with store.transaction() as tx:
        tx.mark(SHOP, "v1", Standing.GOOD, How.DECLARED, now())
    assert patient.lines("store")[0] == ("store", "data/rollbackd.db", "pass")


@pytest.mark.parametrize("part", ["", "-wal", "-shm"])
def test_a_part_of_the_journal_that_takes_no_writes_fails(patient: Patient, store: Store, part: str) -> None:
    with store.transaction() as tx:
        tx.mark(SHOP, "v1", Standing.GOOD, How.DECLARED, now())
    file = patient.folder / "data" / f"rollbackd.db{part}"
    file.chmod(0o444)
    failed = [line for line in as_an_obedient_user(patient) if line["check"] == "store" and line["grade"] == "fail"]
    assert [(line["subject"], line["found"]) for line in failed] == [
        (str(patient.folder / "data" / "rollbackd.db"), f"not writable for uid {os.geteuid()}: {file.name}")
    ]


def test_a_data_dir_that_takes_no_files_fails_as_the_daemon_would(patient: Patient) -> None:
    folder = patient.folder / "data"
    folder.chmod(0o555)
    failed = [line for line in as_an_obedient_user(patient) if line["check"] == "store" and line["grade"] == "fail"]
    assert [(line["subject"], line["found"]) for line in failed] == [
        (str(folder), f"not writable for uid {os.geteuid()}: a daemon does not start there")
    ]


def as_an_obedient_user(patient: Patient) -> list[dict[str, str]]:
    """What the command finds where it may write only what the files' modes allow."""
    command = [*OBEYING, sys.executable, "-c", "from rollbackd.controller.cli.main import main; main()", "doctor", "--config", str(patient.file)]
    done = subprocess.run([*command, "-o", "json"], capture_output=True, text=True, check=False)
    found: list[dict[str, str]] = json.loads(done.stdout)["findings"]
    return found


def test_no_journal_yet_is_a_warning(patient: Patient) -> None:
    assert patient.lines("store")[0] == ("store", "data/rollbackd.db", "warn")


def test_a_journal_whose_folder_is_not_there_fails(patient: Patient) -> None:
    patient.config = {"store": f"sqlite:///{patient.folder}/nowhere/rollbackd.db"}
    assert patient.lines("store") == [("store", "nowhere/rollbackd.db", "fail")]


def test_a_shared_journal_is_read_on_its_server(patient: Patient, journals: Postgres) -> None:
    patient.config = {"store": journals.url("template")}
    first, *others = patient.findings("store")
    assert (first.subject, first.grade) == (journals.url("template"), Grade.PASS)
    # The tests' server is fast because it keeps nothing: that is no server for a journal.
    assert [(finding.grade, finding.found) for finding in others] == [
        (Grade.FAIL, "the server runs with fsync = off"),
        (Grade.FAIL, "the server runs with full_page_writes = off"),
    ]


def test_a_shared_journal_that_cannot_be_reached_fails_with_what_to_do(patient: Patient) -> None:
    patient.config = {"store": f"postgresql://rollbackd@127.0.0.1:{free_port()}/rollbackd"}
    (finding,) = patient.findings("store")
    assert (finding.grade, "the server cannot be reached" in finding.found, "check the server and the way to it" in finding.found) == (
        Grade.FAIL,
        True,
        True,
    )


def test_a_file_that_is_no_journal_fails(patient: Patient) -> None:
    (patient.folder / "data" / "rollbackd.db").write_text("no database at all" * 100)
    finding = patient.findings("store")[0]
    assert (finding.grade, "the file is damaged or no database" in finding.found) == (Grade.FAIL, True)


def test_a_journal_of_a_newer_rollbackd_fails(patient: Patient, store: Store) -> None:
    store.close()
    with sqlite3.connect(patient.folder / "data" / "rollbackd.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9999'")
    connection.close()
    finding = patient.findings("store")[0]
    assert (finding.grade, "unknown to this rollbackd" in finding.found) == (Grade.FAIL, True)


@pytest.mark.parametrize(
    ("good", "grade", "said"),
    [
        pytest.param([], "warn", "none yet", id="none"),
        pytest.param(["v1"], "pass", "v1", id="one"),
        pytest.param(["v1", "v0"], "pass", "v0", id="live-and-another"),
        pytest.param(["v0", "v00"], "pass", "v0, v00", id="two"),
    ],
)
def test_known_goods_are_those_of_the_journal(patient: Patient, store: Store, good: list[str], grade: str, said: str) -> None:
    with store.transaction() as tx:
        for revision in reversed(good):
            tx.mark(SHOP, revision, Standing.GOOD, How.DECLARED, now())
    finding = patient.only("known goods")
    assert (finding.subject, finding.grade.value) == (SHOP, grade)
    assert finding.found.startswith(said)


@pytest.mark.parametrize(("stands", "said"), [("v1", "v1, which is live: the next release has a way back"), ("v10", "v1")])
def test_what_is_live_is_what_the_target_says_now_and_not_what_the_journal_saw_last(patient: Patient, store: Store, stands: str, said: str) -> None:
    with store.transaction() as tx:
        tx.see_change(SeenChange(released("v1")))
        tx.mark(SHOP, "v1", Standing.GOOD, How.DECLARED, now())
    (patient.folder / "version").write_text(f"{stands}\n")
    assert patient.only("known goods").found == said


def released(revision: str) -> Change:
    """As the daemon saw it last."""
    at = now()
    return Change(
        target=SHOP, id=f"{revision}@1", revision=revision, predecessor=None, started_early=at, started_late=at, first_seen=at, irreversible=None
    )


def test_a_known_good_that_served_too_long_ago_is_none(patient: Patient, store: Store) -> None:
    with store.transaction() as tx:
        tx.mark(SHOP, "v1", Standing.GOOD, How.DECLARED, now())
    patient.clock = lambda: now() + timedelta(days=8)
    assert patient.only("known goods").grade is Grade.WARN


def test_a_part_that_its_config_does_not_allow_is_its_own_failure(patient: Patient) -> None:
    around = patient.around()
    broken = Surroundings(
        around.file, around.config, {"prometheus": Permanent("no")}, Permanent("none"), {"oncall": Permanent("no")}, around.loaded, now, around.enter
    )
    found = examine(broken, within=timedelta(seconds=10))
    assert [f.check for f in found if f.grade is Grade.FAIL] == ["sources", "targets", "contacts"]
