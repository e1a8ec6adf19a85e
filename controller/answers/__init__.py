"""What the API answers, as JSON and back: shared by the daemon that writes it and the command that shows it."""
