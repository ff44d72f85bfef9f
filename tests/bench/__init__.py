"""Benchmarks: `python -m tests.bench`. Every figure that is judged is a ratio, or a cost, within one run.

- livews and its peer take turns, in an order that changes from round to round: the machine's noise meets both.
- Both get the same bytes, both are warm, and both must give the same result before a clock is started.
- Nothing here is imported by livews, and livews is used as an application uses it.
"""
