"""The outside world: metric sources, targets, notifiers. Knows nothing of policies or of the controller."""
