"""The report: pages with all claims and figures, and the curves and filters of single models."""

from experiments.report.write import write

__all__ = ["write"]
