"""The Markdown pages of the repository: their texts, code blocks, links and anchors."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def pages() -> dict[str, str]:
    """README, the other pages at the root and those in docs, by their paths from the root."""
    paths = [*ROOT.glob("*.md"), *(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]
    return {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in sorted(paths)}


def blocks(language: str, text: str) -> list[str]:
    """Fenced code of a language, without the indentation that it has in a list."""
    found = re.finditer(rf"(?ms)^( *)```{re.escape(language)}\n(.*?)^\1```$", text)
    return [re.sub(rf"(?m)^{m[1]}", "", m[2]) for m in found]


def _without_code(text: str) -> str:
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", text)


def links(text: str) -> list[str]:
    """The targets of a page's links and pictures, without those to other sites."""
    targets = re.findall(r"\]\(([^)\s]+)\)", _without_code(text))
    return [target for target in targets if "://" not in target]


def anchors(text: str) -> set[str]:
    """The names under which GitHub, and MyST like it, make a page's headings addressable."""
    headings = re.findall(r"(?m)^#+ (.*)$", _without_code(text))
    names: list[str] = []
    for heading in headings:
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        again = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", n) is not None for n in names)
        names.append(f"{name}-{again}" if again else name)
    return set(names)


def table(head: str, text: str) -> list[list[str]]:
    """The cells of the rows below a table's head."""
    body = text.split(f"{head}\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in body]
