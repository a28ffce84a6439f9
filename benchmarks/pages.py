"""The measured numbers in `docs/`, each in a block of its own.

    python -m benchmarks.pages

Rewrites what stands between `<!-- NAME: python -m benchmarks.pages -->` and `<!-- end of NAME -->`
in the pages, from the files in `benchmarks/`, `figures/quick/audit-calibration.json` and the
constants in the code. Run it after a measurement.
"""

import argparse
from collections.abc import Callable

from aesparse.command import run
from aesparse.errors import InputError, first_line, running
from aesparse.files import read_bytes, write_text
from benchmarks import blocks, commands, comparisons
from benchmarks.blocks import MOST_BYTES, ROOT
from experiments.pages.block import replaced_block

PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "docs/how-we-know/performance.md": {
        "step, variants": blocks.step_variants,
        "step, sizes": blocks.step_sizes,
        **comparisons.BLOCKS,
        "memory": blocks.memory,
        "accelerators": blocks.accelerator,
    },
    "docs/protocol.md": {
        "choices": blocks.choices,
        "rates": blocks.rates,
        "tangent": blocks.tangent,
        "assumptions": blocks.assumptions,
    },
    "docs/how-we-know/guard.md": {"limits": blocks.guard_limits},
    "docs/how-we-know/reproducibility.md": {"reproducibility": blocks.reproducibility},
    "docs/how-we-know/forecast.md": {"audit pairs": blocks.audit_pairs},
    "docs/reference/command-line.md": {
        "aesparse": commands.of_the_library,
        "experiments": commands.of_the_experiments,
    },
    "docs/how-we-know/robustness.md": {"fuzz": blocks.fuzzed, "endurance": blocks.endured},
}


def filled(page: str, of_page: dict[str, Callable[[], str]]) -> str:
    """A page's text with its blocks written anew, in the line endings it has.

    `InputError` if the page is no UTF-8, lacks a block, or has it twice or upside down.
    """
    try:
        text = read_bytes(ROOT / page, MOST_BYTES).decode()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{page} cannot be read ({first_line(error)}); expected a page in UTF-8. Restore it."
        ) from None
    for name, block in of_page.items():
        with running(
            f"The block '{name}' of {page} cannot be made", "the files that this version measures."
        ):
            content = block()
        text = replaced_block(page, text, name, "python -m benchmarks.pages", content)
    return text


def main() -> None:
    """Rewrites all blocks of all pages; nothing is written if one of them cannot be."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.pages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    texts = {page: filled(page, of_page) for page, of_page in PAGES.items()}
    for page, text in texts.items():
        write_text(ROOT / page, text)
        print(f"Up to date: {page}")


if __name__ == "__main__":
    run(main)
