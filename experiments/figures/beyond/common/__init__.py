"""The pairs on which the audit is judged: their functions, their data, their training."""
