"""Helm on our chart: what it renders, and the words in which it refuses."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).parents[2]
CHART = REPO / "helm"
BUILT = REPO / ".cache" / "helm" / "helm"
NAMESPACE = "rollbackd"
Object = dict[str, Any]

SMALLEST: Object = {"config": {"sources": {"prometheus": {"url": "http://prometheus.monitoring:9090"}}}}
"""The values without which nothing is installed."""
POLICY = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: checkout}   # ours
spec:
  mode: suggest
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  source: prometheus
  metrics: istio
  rollback_when: [{use: error-rate}]
  remedy: [{revert: {to: known-good}}]
  notify: [oncall]
"""
RICH: Object = {
    "image": {"repository": "registry.example:5000/ops/rollbackd", "digest": f"sha256:{'a' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": ["registry"],
    "config": {
        "mode_cap": "auto",
        "namespaces": {"payments": {"mode_cap": "suggest"}},
        "sources": {
            "prometheus": {"url": "https://prometheus.example", "token_file": "/secrets/prometheus/token", "scrape_interval": "30s"},
            "pages": {"kind": "scrape", "targets": [{"dns": "shop.shop.svc", "port": 8080, "labels": {"app": "shop"}}]},
        },
        "flags": {"flagd": {"file": "/flags/flags.json", "safe_states": {"new-cart": "off"}}},
        "clusters": {"default": {}, "west": {"kubeconfig": "/secrets/west/kubeconfig"}},
        "commands": {"deploy": {"describe": ["/opt/deploy", "show"], "apply": ["/opt/deploy", "put", "{revision}"]}},
        "contacts": {
            "oncall": [
                {"webhook": {"url_file": "/secrets/hook/url", "secret_file": "/secrets/hook/secret"}},
                {"alertmanager": {"urls": ["http://alertmanager-0:9093"]}},
            ]
        },
        "fallback": "oncall",
        "probes": {"front": {"urls": ["tcp://10.0.0.5:5432"], "timeout": "5s"}},
        "guards": {"in_flight": 2, "cooldown": "1h"},
        "api": {"people": {"ann": {"token_file": "/secrets/people/ann"}}},
    },
    "policies": {"checkout": POLICY},
    "secrets": {"hook": "rollbackd-hook", "people": "rollbackd-people", "prometheus": "prometheus-token", "west": "kubeconfig-west"},
    "rights": {"shop": {"deployments": ["checkout", "cart"]}, "search": {"deployments": "all", "jobs": True}},
    "serviceAccount": {"name": "undo", "annotations": {"example/team": "ops"}},
    "persistence": {"size": "5Gi", "storageClassName": "fast"},
    "health": {"address": "[::]", "port": 9000},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {
        "enabled": True,
        "ingressFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}], "ports": [{"port": 6443, "protocol": "TCP"}]}],
    },
    "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
    "podLabels": {"team": "ops"},
    "podAnnotations": {"example/note": "7"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "ops", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": []}]}}},
    "priorityClassName": "high",
    "extraVolumes": [{"name": "flags", "persistentVolumeClaim": {"claimName": "flags"}}],
    "extraVolumeMounts": [{"name": "flags", "mountPath": "/flags"}],
}
"""Values with nearly every key of the chart, and every kind of part of the config."""


def helm() -> str:
    """The program: HELM, else the one that ``make helm`` built, else one that is installed. Without it the test skips, or fails with CI=true."""
    for found in (os.environ.get("HELM"), str(BUILT), shutil.which("helm")):
        if found and os.access(found, os.X_OK):
            return found
    reason = "helm is not installed (make helm, which needs Go; or set HELM)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def run(folder: Path, values: Object | None, *words: str) -> "subprocess.CompletedProcess[str]":
    """`helm WORDS [--values …]`, with nothing of this machine's own configuration."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values or {}, sort_keys=False))
    given = ["--values", str(file)] if values is not None else []
    home = {f"HELM_{name}_HOME": str(folder / "helm") for name in ("CACHE", "CONFIG", "DATA")}
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": "/dev/null", **home}
    return subprocess.run([helm(), *words, *given], capture_output=True, text=True, check=False, env=environment, timeout=60)


def render(folder: Path, values: Object, *, release: str = "rollbackd") -> list[Object]:
    """The objects that an installation with these values consists of."""
    done = run(folder, values, "template", release, str(CHART), "--namespace", NAMESPACE)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def refusal(folder: Path, values: Object, *, release: str = "rollbackd") -> str:
    """What Helm says instead of rendering."""
    done = run(folder, values, "template", release, str(CHART), "--namespace", NAMESPACE)
    assert done.returncode != 0, "it rendered"
    return done.stderr


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    """Those of this kind, in order."""
    return [item for item in objects if item["kind"] == kind]


def only(objects: list[Object], kind: str, name: str = "") -> Object:
    """The one of this kind [and name]."""
    (found,) = [item for item in of_kind(objects, kind) if name in ("", item["metadata"]["name"])]
    return found


def merged(values: Object, more: Object) -> Object:
    """``values`` with ``more`` laid over them, as Helm does it."""
    both = dict(values)
    for key, value in more.items():
        both[key] = merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both
