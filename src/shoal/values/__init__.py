"""Pure values: keys, UUIDs, clocks, sizes. No I/O, no clock, no randomness."""
