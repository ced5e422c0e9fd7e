"""The SDK: lives inside other people's processes, so it is light, never raises and never blocks."""
