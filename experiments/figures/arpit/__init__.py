"""Figures of Arpit et al."""
