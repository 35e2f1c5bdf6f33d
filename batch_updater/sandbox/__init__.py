"""A stand-in for Nexus on loopback, for the demo and the tests, with faults on demand."""
