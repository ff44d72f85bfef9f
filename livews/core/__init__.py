"""The part a port rewrites: pure, no I/O beyond reading protocol/ once, no clock, no threads."""
