"""What a policy is and how a change is judged. Pure: no clock, no network, no file, no SDK."""
