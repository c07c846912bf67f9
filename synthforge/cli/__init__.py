"""Commands: options -> config -> one call -> report. Nothing here computes."""
