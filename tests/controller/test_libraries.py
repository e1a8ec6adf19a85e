"""What several threads would import is there before any of them runs."""

import subprocess
import sys

CONFIG = """
apiVersion: rollbackd/v1
kind: Config
data_dir: data
policies: [policies.d/]
sources: {scrape: {every: 5s, targets: [{urls: ["http://127.0.0.1:9/metrics"]}]}}
clusters: {prod: {kubeconfig: kubeconfig}}
accounts: {shop: {id: "123456789012", regions: [eu-west-1]}}
"""
WIRED = """
import sys
from pathlib import Path
from rollbackd.controller.config.load import Config, load_config
from rollbackd.controller.logs import Secrets
from rollbackd.controller.wiring.outside import outside

config = load_config(sys.argv[1], "rollbackd.yaml", Path("/nowhere"))
assert isinstance(config, Config), config
before = set(sys.modules)
outside(config, Secrets())
print(*sorted({"requests", "kubernetes", "boto3"} & (set(sys.modules) - before)))
"""


def test_the_libraries_of_what_is_configured_are_there_before_any_thread_runs() -> None:
    wired = subprocess.run([sys.executable, "-c", WIRED, CONFIG], capture_output=True, text=True, check=False)
    assert (wired.stdout, wired.stderr) == ("boto3 kubernetes requests\n", "")
