"""The journal: the only shared state, durable before any effect."""
