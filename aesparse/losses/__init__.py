"""Losses as pure functions: reconstruction, corruption, penalties, objectives."""
