"""The engine thread and what it holds of everything: one slot after the other, decided by the pure function and journalled."""
