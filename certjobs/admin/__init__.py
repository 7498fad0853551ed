"""What administrators do by hand: plain functions over units of work, one module per subject.

Every change leaves an event in the audit with who did it and why; again is nothing. What does not exist is a UsageError
that says how to find what does.
"""
