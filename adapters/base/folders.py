"""Folders whose entries must outlive a power cut."""

import os
from pathlib import Path


def sync(folder: Path) -> None:
    """What was put into the folder, and what was taken out of it, is on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
