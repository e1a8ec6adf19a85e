"""Faults for people, for programs, and for a code review on GitHub."""

from rollbackd.policies.text.faults import Fault, excerpt, unbroken


def fault_text(fault: Fault, text: str) -> str:
    """The place, what was expected and found, the line with a caret, and the hint on a line of its own."""
    mark = "warning: " if fault.severity == "warning" else ""
    said = f"expected {fault.expected}, found {fault.found}" if fault.expected else fault.found
    lines = [unbroken(f"{fault.file}:{fault.line}:{fault.column}: {mark}{fault.trail}: {said}"), excerpt(fault, text)]
    if fault.hint:
        lines.append(unbroken(f"      = {fault.hint}"))
    return "\n".join(line for line in lines if line)


def fault_command(fault: Fault) -> str:
    """A workflow command: GitHub shows it at the line in the diff."""
    place = f"file={_property(fault.file)},line={fault.line},col={fault.column},title={_property(fault.trail)}"
    return f"::{fault.severity} {place}::{_data(fault.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
