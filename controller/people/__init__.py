"""What people ask of a running daemon and decide about its incidents."""
