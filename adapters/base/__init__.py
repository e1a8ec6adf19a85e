"""The contract of the outside: values and protocols that every adapter speaks, and nothing else."""
