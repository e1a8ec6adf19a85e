"""What stands outside: the targets, their changes and their signals, asked once per slot. Decides nothing."""
