"""The HTTP form of the P2P protocol as data: paths, parameters, headers and bodies; no I/O."""
