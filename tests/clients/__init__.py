"""Clients nobody here wrote, each against `livews serve` in the same conversations.

- The clients run as their users run them: a process of its own, nothing patched, pointed at the server by its address.
- A client's program only talks and writes down what its user sees. What has to be seen stands once, in conversations.py.
"""
