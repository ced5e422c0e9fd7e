"""`make demo`: the shop, the processor and an outage, told on the terminal."""
