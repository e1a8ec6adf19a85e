"""What people are told: worded once, queued with the row it tells of, and sent beside the slots."""
