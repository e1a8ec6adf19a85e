"""The shipped library of conditions and metric profiles, as YAML data."""
