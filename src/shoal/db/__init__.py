"""The SQLite databases that are shared with the real program."""
