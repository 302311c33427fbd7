"""One asynchronous interface for everything that holds keys, and its implementations."""
