"""The local HTTP API, who may use it, and the command that does."""
