"""From the config to the parts of one daemon. The only package that names adapters."""
