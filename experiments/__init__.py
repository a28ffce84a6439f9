"""Figures and claims of the papers on top of `aesparse`; run as `python -m experiments`."""
