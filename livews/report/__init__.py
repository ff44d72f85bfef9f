"""The HTML report of a trace, and the page the inspector fills while a session runs."""
