"""The stand-in server: answers in place of the service, with its framing, order, pace and closes."""
