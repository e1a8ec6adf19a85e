"""What the secret files of the config hold is in no log, also after they were rotated."""

from rollbackd.controller.logs import Secrets
from rollbackd.controller.secret_files import SecretFiles
from tests.controller.test_config import SHORTEST, load_config

CONFIG = (
    SHORTEST.replace("9090'}", "9090', token_file: prom, ca_file: ca}")
    + "contacts: {oncall: [{webhook: {url_file: hook, secret_file: gone}}]}\nheartbeat: {url_file: beat}\n"
)


def test_every_secret_file_is_hidden_at_the_start_and_after_a_rotation(tmp_path):
    (tmp_path / "prom").write_text("the-prometheus-token\n")
    (tmp_path / "hook").write_text("https://hooks.example/services/T0/B0/secret\n")
    (tmp_path / "beat").write_text("https://beat.example/ping/secret-id\n")
    (tmp_path / "ca").write_text("-----BEGIN CERTIFICATE-----\n")
    secrets = Secrets()
    files = SecretFiles(load_config(CONFIG, "rollbackd.yaml", tmp_path), secrets)
    files.learn()
    said = "the-prometheus-token /services/T0/B0/secret https://beat.example/ping/secret-id -----BEGIN CERTIFICATE-----"
    assert secrets.hide(said) == "[hidden] [hidden] [hidden] -----BEGIN CERTIFICATE-----"
    (tmp_path / "prom").unlink()
    (tmp_path / "prom").write_text("the-newer-token\n")
    files.learn()
    assert secrets.hide("the-newer-token, the-prometheus-token") == "[hidden], [hidden]"
