"""Explain names, closes, findings and log lines from the data in protocol/."""
