"""The P2P protocol as data and state machines; no sockets, no files."""
