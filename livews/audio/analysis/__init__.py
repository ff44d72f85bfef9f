"""Pure functions over PCM: levels, lengths and voice activity; no device, no I/O."""
