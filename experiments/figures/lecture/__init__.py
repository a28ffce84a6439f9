"""Figures of the Lecture."""
