"""Analysis of a session over time: turns, tracks, latency, statistics."""
