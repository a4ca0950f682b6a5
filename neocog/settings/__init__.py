"""Settings: all that can be set of a training, said once for Python, TOML and the command line."""
