"""From stored runs to verdicts: curves, criteria, intervals, explanations, tables."""
