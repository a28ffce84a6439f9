"""The documentation: Markdown by MyST, one executed notebook, and the reference by autodoc.

    python -m sphinx -W --keep-going -b html docs docs/_build/html

needs no network: no inventory of other projects and no web font is fetched, and the pages load
nothing from elsewhere.
"""

import sys
from pathlib import Path

import aesparse

sys.path.insert(0, str(Path(__file__).parent / "reference"))  # for the extension `docstrings`

project = "aesparse"
author = "The aesparse developers"
version = release = aesparse.__version__
copyright = f"{author}, Apache-2.0"

extensions = [
    "myst_nb",  # Markdown, and notebooks written in it
    "docstrings",  # autodoc and napoleon, as the docstrings are written
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

# Headings are addressed as on GitHub, so that a link works in both places.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

nb_execution_mode = "force"
nb_execution_raise_on_error = True  # an example that fails ends the build
nb_execution_timeout = 300  # seconds, of a cell; a busy machine takes minutes
nb_merge_streams = True

html_theme = "furo"
html_title = f"aesparse {release}"
html_theme_options = {"footer_icons": [], "top_of_page_buttons": []}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
