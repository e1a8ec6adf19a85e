"""A small real shop that breaks on purpose, and the story that drives a real daemon against it."""
