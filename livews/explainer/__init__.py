"""Explain names, closes, findings and log lines from the data in protocol/."""

from livews.core import protocol

CONFIDENCE: dict[str, str] = protocol.load("closes.json")["confidence"]
"""`confidence` of a row of closes.json or rules.json, in words."""
RETRY: dict[str, str] = protocol.load("closes.json")["retry"]
"""`retry` of a row of closes.json, in words."""
