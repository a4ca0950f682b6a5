"""Searching for good settings: trials over a small space, by Optuna, in a folder that goes on.

`space` says what is searched, `optuna_study` draws from it and remembers, `trial` trains once,
`tune` is the loop, and `study` what it gives.
"""
