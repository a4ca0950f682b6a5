"""Hyperparameter search: trials over a small space, by Optuna, in a folder that can be continued.

`space` describes the space, `optuna_study` samples it and stores the trials, `trial` trains once,
`tune` is the loop, and `study` is its result.
"""
