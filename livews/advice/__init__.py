"""Advice on what the core finds: better words, what to write instead, and what caused a close."""
