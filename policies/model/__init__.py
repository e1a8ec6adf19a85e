"""A policy as the engine reads it, and what is read for it: frozen values, nothing left to look up."""
