"""The switch that stops every write, wherever it is thrown."""
