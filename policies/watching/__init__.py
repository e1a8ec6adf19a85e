"""A watch from look to look: from when evidence counts, against which limit, and when a breach is confirmed or over."""
