"""Settings: what can be set of a training, said once, for Python, TOML, JSON and the command line."""
