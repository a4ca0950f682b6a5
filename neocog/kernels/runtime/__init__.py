"""Runs tables of kernels on worker threads, with barriers between groups."""
