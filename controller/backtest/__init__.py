"""`rollbackd backtest`: what a policy would have done about the changes of the past."""
