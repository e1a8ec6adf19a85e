"""Policies as they are written: pydantic models whose descriptions become the JSON Schema."""
