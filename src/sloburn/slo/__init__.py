"""What an SLO is, and its arithmetic: standard library only, no input or output."""
