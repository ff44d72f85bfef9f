"""The trace: one line a frame, to a file (`livews-trace`, version 1) or to a terminal."""
