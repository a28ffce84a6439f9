"""Generated blocks of pages that are otherwise written by hand."""

from pathlib import Path

from aesparse.errors import InputError

__all__ = ["replaced_block"]


def replaced_block(page: Path | str, text: str, name: str, command: str, content: str) -> str:
    """The text of a page with the block `name` written anew, in the line endings it has.

    A block stands between `<!-- NAME: COMMAND -->` and `<!-- end of NAME -->`. `InputError` if the
    page lacks it, or has it twice or upside down.

    >>> old = "# Title\\n<!-- sum: add -->\\n<!-- end of sum -->\\nafter\\n"
    >>> print(replaced_block(Path("page.md"), old, "sum", "add", "1 + 1 = 2"))
    # Title
    <!-- sum: add -->
    <BLANKLINE>
    1 + 1 = 2
    <BLANKLINE>
    <!-- end of sum -->
    after
    <BLANKLINE>
    """
    begin, end = f"<!-- {name}: {command} -->", f"<!-- end of {name} -->"
    if (text.count(begin), text.count(end)) != (1, 1) or text.index(begin) > text.index(end):
        raise InputError(
            f"{page} has {text.count(begin)} lines {begin} and {text.count(end)} lines {end}; "
            "expected one of each, in this order. Put them where the block belongs."
        )
    newline = "\r\n" if "\r\n" in text else "\n"
    before, after = text.split(begin)[0], text.split(end)[1]
    return before + f"{begin}\n\n{content}\n\n{end}".replace("\n", newline) + after
