"""Whose fault a breach is, and which changes no revert may cross without people."""
