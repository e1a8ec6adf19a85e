"""Reloading: broken files and vanishing mounts never take good policies away."""

import errno
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from rollbackd.controller.policy_files import PolicyFiles
from tests.policies.literals import T0

POLICY = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {{name: {name}}}
spec:
  target: {{kubernetes: {{namespace: shop, deployment: checkout}}}}
  metrics: istio
  rollback_when: [{{use: error-rate}}]
  remedy: [{{revert: {{to: known-good}}}}]
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.yaml").write_text(POLICY.format(name=name))
    return tmp_path


@pytest.fixture
def files(folder):
    files = PolicyFiles([folder], None, lambda: T0)
    assert [policy.name for policy in files.read().policies] == ["a", "b", "c"]
    return files


def test_unchanged_files_are_not_read_twice(files):
    assert files.read() is None


def test_a_broken_file_keeps_its_last_good_policies_and_the_others_change(files, folder):
    (folder / "a.yaml").write_text("kind: [")
    (folder / "b.yaml").write_text(POLICY.format(name="b2"))
    found = files.read()
    assert [policy.name for policy in found.policies] == ["a", "b2", "c"]
    assert not found.is_ok
    assert "a.yaml" in found.summary


def test_a_file_that_cannot_be_read_keeps_its_last_good_policies(files, folder):
    (folder / "a.yaml").write_bytes(b"\xff\xfe\x00")
    assert [policy.name for policy in files.read().policies] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arrange", "why"),
    [
        pytest.param(lambda file: file.symlink_to("..data/a.yaml"), "No such file or directory", id="link-without-its-file"),
        pytest.param(lambda file: file.symlink_to(file.name), "Too many levels of symbolic links", id="loop"),
        pytest.param(Path.mkdir, "Is a directory", id="folder"),
        pytest.param(os.mkfifo, "a pipe, which would be waited for", id="pipe"),
        pytest.param(lambda file: file.symlink_to("/dev/null"), "a device", id="device"),
        pytest.param(lambda file: file.write_bytes(b"#" * 10_000_001), "more than 10 MB, of which YAML may have 1 MiB", id="no-end"),
        pytest.param(lambda file: file.write_bytes(b"kind: \xff"), "what is no UTF-8 (byte 7)", id="no-text"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_to_be_one_and_why(files, folder, arrange, why):
    file = folder / "a.yaml"
    file.unlink()
    arrange(file)
    hint = "mount it, mend its rights, or save it as UTF-8 text, in smaller files if need be"
    found = files.read()
    assert [str(fault) for fault in found.faults] == [f"{file}:1:1: file: expected a file that can be read, found {why}; {hint}"]
    assert found.summary == f"1 fault: {found.faults[0]}"


def test_a_folder_that_cannot_be_listed_keeps_its_last_good_policies(tmp_path, monkeypatch):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, names in zip(folders, ("a", "bcd"), strict=True):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.yaml").write_text(POLICY.format(name=name))
    files, listed = PolicyFiles(folders, None, lambda: T0), Path.iterdir
    files.read()

    def refuse(folder):
        if folder == folders[0]:  # we may be root, whom no rights keep out
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    found = files.read(confirm=True)
    assert [policy.name for policy in found.policies] == ["a", "b", "c", "d"]
    assert "one:1:1: file: expected a file that can be read, found Permission denied" in str(found.summary)


def test_a_removed_file_takes_its_policy_with_it(files, folder):
    (folder / "a.yaml").unlink()
    assert [policy.name for policy in files.read().policies] == ["b", "c"]


def test_a_set_that_shrinks_by_more_than_half_is_held_back_until_it_is_confirmed(files, folder):
    (folder / "a.yaml").unlink()
    (folder / "b.yaml").unlink()
    held = files.read(confirm=True)
    assert [policy.name for policy in held.policies] == ["a", "b", "c"]
    assert "shrank from 3 to 1 policies" in held.held_back
    assert [policy.name for policy in files.read(confirm=True).policies] == ["c"]


def test_what_the_daemon_noticed_by_itself_still_takes_two_to_be_confirmed(files, folder):
    (folder / "a.yaml").unlink()
    (folder / "b.yaml").unlink()
    files.read()
    assert files.read(confirm=True) is None
    assert files.read() is None
    assert [policy.name for policy in files.read(confirm=True).policies] == ["c"]


def test_that_no_policy_is_loaded_is_a_warning(tmp_path):
    with capture_logs() as logs:
        PolicyFiles([tmp_path], None, lambda: T0).read()
    assert logs == [{"event": "policies.loaded", "log_level": "warning", "policies": 0, "faults": 0, "warnings": 0}]


def test_an_empty_folder_is_held_back(files, folder):
    for file in folder.iterdir():
        file.unlink()
    assert [policy.name for policy in files.read().policies] == ["a", "b", "c"]
    assert files.read() is None


def test_a_confirmation_counts_only_for_the_set_that_was_held_back(files, folder):
    (folder / "a.yaml").unlink()
    (folder / "b.yaml").unlink()
    files.read(confirm=True)
    (folder / "c.yaml").write_text(POLICY.format(name="c2"))
    assert [policy.name for policy in files.read(confirm=True).policies] == ["a", "b", "c"]


def test_the_bookkeeping_of_a_configmap_mount_is_not_read_as_policies(files, folder):
    (folder / "..data").mkdir()
    (folder / "..data" / "z.yaml").write_text(POLICY.format(name="z"))
    (folder / ".hidden.yaml").write_text(POLICY.format(name="hidden"))
    assert files.read() is None


FLEET = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: web}
spec:
  select: {kubernetes: {labels: {rollback: "on"}}, expect: {max: 9}}
  rollback_when: [{use: standard}]
"""


def test_a_fleet_policy_is_kept_as_any_other_while_its_file_is_broken(files, folder):
    (folder / "web.yaml").write_text(FLEET)
    assert [fleet.name for fleet in files.read().fleets] == ["web"]
    (folder / "web.yaml").write_text(FLEET.replace("max: 9", "max: none"))
    assert [fleet.name for fleet in files.read().fleets] == ["web"]


def test_the_target_of_a_policy_that_cannot_be_loaded_is_known_as_far_as_it_can_be_read(folder):
    (folder / "a.yaml").write_text(POLICY.format(name="a").replace("metrics: istio", "metrics: istoi"))
    (folder / "b.yaml").write_text("kind: [")
    found = PolicyFiles([folder], None, lambda: T0).read()
    assert found.claimed == {"kubernetes:default/shop/deployment/checkout": "a"}
    assert [policy.name for policy in found.policies] == ["c"]
