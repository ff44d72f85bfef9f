"""Explain names, closes, findings and log lines from the data in protocol/."""

CONFIDENCE = {
    "seen": "seen in a real log",
    "quoted": "quoted from a live run",
    "reported": "reported, the wording may be partial",
    "inferred": "inferred",
    "none": "not found in any log",
}
"""`confidence` of a row of closes.json or rules.json, in words."""
RETRY = {
    "no": "no: the same input fails again",
    "yes": "yes: connect again",
    "backoff": "after a pause, longer each time",
    "resume": "connect again with the newest resumption handle, after the old socket is closed",
    "fresh": "connect again without the resumption handle",
}
"""`retry` of a row of closes.json, in words."""
