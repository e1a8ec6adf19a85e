"""The binaries of the control plane, found by envtest's convention, else where ``make kube-assets`` puts them."""

import os
from pathlib import Path

import pytest

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager")
BUILT = Path(__file__).parents[2] / ".cache" / "kube-assets"


def folder() -> Path:
    """KUBEBUILDER_ASSETS, else what was built here."""
    return Path(os.environ.get("KUBEBUILDER_ASSETS") or BUILT).resolve()


def missing_assets() -> str:
    """Why no control plane can be started; '' if one can."""
    lacking = [name for name in NAMES if not os.access(folder() / name, os.X_OK)]
    return f"{', '.join(lacking)} not found in {folder()} (make kube-assets, which needs Go; or set KUBEBUILDER_ASSETS)" if lacking else ""


def required() -> Path:
    """The folder with all binaries; otherwise the test is skipped, or fails where skips are forbidden (CI=true)."""
    if reason := missing_assets():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder()
