"""Why it acts or does not, what it watches and what it could find. Reads only."""
