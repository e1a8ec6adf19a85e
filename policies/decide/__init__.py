"""From verdicts to decisions: the one function that decides, the incident, its ladder and its guards."""
