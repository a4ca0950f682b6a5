"""Readers of tables that list pictures and their classes, in several formats."""
