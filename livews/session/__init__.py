"""The session of a client, over any number of connections."""
