"""How docstrings become pages: Google's sections, code in single backticks, bars as they are."""

import re

SETTINGS = {
    "default_role": "code",
    "napoleon_use_ivar": True,  # attributes as a list, not as objects of their own
    "autodoc_member_order": "bysource",
    "autodoc_typehints": "none",  # the docstrings name kinds and shapes
    "autodoc_preserve_defaults": True,
    # Members are shown where they are defined; the contents of tables of functions say nothing.
    "autodoc_default_options": {"members": True, "ignore-module-all": True, "no-value": True},
}
_ALIAS = "Alias for field number"  # what named tuples say of their fields


def _escape(app, what, name, obj, options, lines: list[str]) -> None:
    """|x| is an absolute value and W_ no link, but in examples and in backticks."""
    inside = False
    for i, line in enumerate(lines):
        inside = line.lstrip().startswith((">>>", "...")) or (inside and bool(line.strip()))
        if not inside:
            parts = re.split(r"(`[^`]*`|\*{1,2}\w[^*]*\*{1,2})", line)
            parts[::2] = [re.sub(r"([|*])", r"\\\1", part) for part in parts[::2]]
            lines[i] = "".join(parts)


def _underscores(app, what, name, obj, options, lines: list[str]) -> None:
    """The names of attributes keep an underscore at their end, which Sphinx takes for a link's."""
    for i, line in enumerate(lines):
        lines[i] = re.sub(r"^:ivar (\w+?)\\?_:", r":ivar \1\\_:", line)


def _skip(app, what, name, obj, skip, options) -> bool | None:
    return True if str(getattr(obj, "__doc__", "")).startswith(_ALIAS) else None


def setup(app) -> dict:
    """What Sphinx calls."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    for name, value in SETTINGS.items():
        setattr(app.config, name, value)
    app.connect("autodoc-process-docstring", _escape, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", _underscores, priority=600)  # after it
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}
