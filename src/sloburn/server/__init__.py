"""The processor as a service: configuration, storage, and the composition of all parts."""
