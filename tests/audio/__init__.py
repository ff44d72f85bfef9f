"""Tests of livews.audio. `pulse.py` is a sound card for tests anywhere."""
