"""The IAM documents under docs/aws: ``python -m tests.aws.iam`` writes them, a test compares them."""

import json
from collections.abc import Mapping
from pathlib import Path

from rollbackd.adapters.aws.declarations import ALL
from rollbackd.adapters.aws.iam import documents

FOLDER = Path(__file__).parents[2] / "docs" / "aws"


def made() -> Mapping[str, str]:
    """Every document as its file holds it, by name."""
    return {name: json.dumps(document, indent=2) + "\n" for name, document in documents(ALL).items()}


def written() -> Mapping[str, str]:
    """The files as they are."""
    return {file.name: file.read_text() for file in sorted(FOLDER.glob("*.json"))}


if __name__ == "__main__":
    for stale in written().keys() - made().keys():
        (FOLDER / stale).unlink()
    for name, text in made().items():
        (FOLDER / name).write_text(text)
