"""The HTTP form of the P2P protocol: routes and codecs; no sockets, no files."""
