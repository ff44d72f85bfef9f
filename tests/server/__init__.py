"""The stand-in, as a client sees it."""
