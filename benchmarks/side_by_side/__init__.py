"""The tagging job beside what a user would pick instead, in one run: `python -m` starts it."""
