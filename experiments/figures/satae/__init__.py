"""Figures of SATAE."""
