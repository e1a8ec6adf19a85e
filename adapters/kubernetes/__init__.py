"""Kubernetes Deployments: seen, planned for, patched and verified through raw JSON."""
