"""How Sphinx makes a site of these pages; see `scripts/docs`."""

project = "boc"
author = "the boc developers"
html_title = "boc"
html_theme = "furo"
exclude_patterns = ["_build"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx", "sphinx.ext.viewcode"]
# Links as GitHub makes them, so that the pages can be read there, too.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
# Nothing is fetched while the pages are made: names of Python's own library stay text.
intersphinx_mapping: dict[str, object] = {}

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
# In docstrings, `name` is code.
default_role = "code"
