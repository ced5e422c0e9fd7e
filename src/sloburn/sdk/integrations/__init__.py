"""What hooks into other people's frameworks: one module each, loaded when the framework is."""
