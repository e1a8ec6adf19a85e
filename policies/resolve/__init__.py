"""From what is written, the library and the config's names to one frozen policy, or every fault at its place."""
