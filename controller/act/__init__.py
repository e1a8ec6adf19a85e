"""The one place that writes to targets: plan, durable intent, one write, and what became of it."""
