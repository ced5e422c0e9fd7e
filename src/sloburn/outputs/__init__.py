"""What leaves the processor: exposition, JSON API, push stream and status page, each a pure function of a snapshot."""
