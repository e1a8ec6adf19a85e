"""The claim that an incident waits for, as people are told of it: it outlives the replica that has it, and nothing goes on before its end."""

from rollbackd.controller.answers.status import ClaimLine
from rollbackd.controller.journal.claiming import open_claim
from rollbackd.controller.journal.reading import Reading
from rollbackd.policies.known.incident import Incident, Phase


def claim_line(read: Reading, incident: Incident) -> ClaimLine | None:
    """The claim on its newest write of which no outcome is known; None where there is none, or where one ran out that nobody takes over."""
    claim = open_claim(read, incident)
    is_over = claim is not None and read.now() >= claim.deadline
    if claim is None or (is_over and incident.phase is not Phase.ACTING):
        return None
    whose = f"claimed by {claim.claimant} until {claim.deadline:%H:%M:%S} UTC"
    step = f"rung {claim.rung + 1} on {claim.target}"
    said = f"{step} is {whose}; if that replica has died, the next one takes over then"
    if is_over:
        said = f"{step} was {whose}, and what came of it is not known; whoever sees the target takes it over"
    return ClaimLine(claim.rung + 1, claim.target, claim.claimant, claim.deadline, said)


def waits_for(read: Reading, incident: Incident) -> str:
    """The same as the end of a sentence; empty where nothing is claimed."""
    line = claim_line(read, incident)
    return f"; {line.said}" if line is not None else ""
