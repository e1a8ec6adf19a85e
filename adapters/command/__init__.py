"""Whatever two commands of the operator's can show and put back."""

from rollbackd.adapters.command.target import Command, CommandSpec

__all__ = ["Command", "CommandSpec"]
