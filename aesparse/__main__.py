"""The command line: `python -m aesparse`, or the console script `aesparse`."""

from aesparse.cli.scripts import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
