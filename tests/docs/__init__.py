"""The documentation under test: README.md, livews/README.md and livews/docs/.

- `python -m tests.docs.transcripts --update` runs every console block and rewrites its output in place.
- `python -m tests.docs.generate` rewrites the parts that are made from data; `--check` only compares.
- `python -m tests.docs.picture` makes the picture of README.md.
"""
