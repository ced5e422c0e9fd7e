"""The stack, natively: build what is missing, start it, say where it is, stop it. Standard library only."""
