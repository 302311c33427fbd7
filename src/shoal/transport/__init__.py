"""Bytes in, bytes out: stdio, processes, sockets, HTTP. No policy."""
