"""The parts of `benchmarks/accelerator.py`, each a process of its own."""
