"""sloburn."""
