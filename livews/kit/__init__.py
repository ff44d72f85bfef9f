"""For those who test and port: the stand-in. Never imports client, audio or cli: it does not know the judged."""
