"""The daemon's config: as it is written, and as the daemon reads it."""
