"""Replay: send a recorded session again, as the client or as the server."""
