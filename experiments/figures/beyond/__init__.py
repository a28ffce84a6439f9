"""Figures of no paper."""
