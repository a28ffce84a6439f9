"""Figures of GSAE."""
