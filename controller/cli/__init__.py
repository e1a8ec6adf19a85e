"""The `rollbackd` command."""
