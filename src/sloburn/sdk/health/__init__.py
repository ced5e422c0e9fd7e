"""Is this process alive, ready and started: checks that cannot hang, for HTTP, for files and as metrics."""
