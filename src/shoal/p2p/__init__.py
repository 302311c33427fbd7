"""The P2P protocol as data and state machines: bytes in, events out; no I/O.

messages   every message, parsed and rendered
receiver   bytes to messages and payload chunks
server     what a server may be asked, and may answer, in each state
client     what a client may send, and may be answered, in each state
"""
