"""Names of revisions that nobody could tell the contents of yet: ``api:7@unresolved`` is ``api:7@4f1c…`` once they are known. Compares names only.

Only services of ECS have such names; those of every other kind of target are what they are.
"""

UNRESOLVED = "unresolved"


def is_unresolved(revision: str) -> bool:
    """Whether nobody knows what it stands for: another one may go by the same name."""
    return revision.endswith(f"@{UNRESOLVED}")


def is_named_by(revision: str, known: str) -> bool:
    """Whether ``revision`` is, or may turn out to be, what is ``known`` by this name."""
    return revision == known or is_resolved_by(revision, known)


def is_resolved_by(revision: str, known: str) -> bool:
    """Whether ``revision`` may be the full name of what was ``known`` by an unresolved one. Never the other way round: what is known stays so."""
    return is_unresolved(known) and not is_unresolved(revision) and revision.startswith(known.removesuffix(UNRESOLVED))
