"""`rollbackd doctor`: what would keep the daemon from doing its work, found before it is needed. Reads only, whatever it finds."""
