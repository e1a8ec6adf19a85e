"""What is known when something is decided: changes, a watch's memory, the incident, everybody else. Frozen values, folded and never guessed."""
