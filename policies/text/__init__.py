"""Text to plain values: YAML with its places, quantities, selectors, and how a fault is worded."""
