"""For those who test, look and port: the stand-in, the proxy, and what is built on them.

- Never imports client, audio or cli: it does not know the judged.
"""
