"""The commands of `python -m aesparse`, each in a module of its own."""
