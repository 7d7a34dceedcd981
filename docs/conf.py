"""How the documentation is built: `make docs`. Pages are Markdown (MyST); docs/ext makes drawings from the code."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "ext"))

project = "wsproto_lite"
author = "The wsproto_lite maintainers"
copyright = author
release = version = version_of("wsproto_lite")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.viewcode",
    "docstrings",
    "figures",
]

# ---- pages ----

exclude_patterns = ["ext"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3

# ---- the reference ----

smartquotes = False
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
autodoc_type_aliases = {
    name: f"~wsproto_lite.{module}.{name}"
    for module, names in {
        "events": ("Event", "Header", "Headers", "ExtensionOffer"),
        "extensions": ("Params",),
        "adapters.asyncio": ("Data",),
    }.items()
    for name in names
}
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

# Each adapter has a Server and a WebSocket; older Sphinx asks which of them a signature means.
suppress_warnings = ["ref.python"]

# ---- doctests ----

doctest_test_doctest_blocks = "default"
doctest_global_setup = "from wsproto_lite import *\nfrom wsproto_lite.testing import *"

# ---- looks ----

html_theme = "furo"
html_title = f"wsproto_lite {version}"
html_static_path = ["_static"]
html_css_files = ["figures.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "tango"
pygments_dark_style = "monokai"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5f80", "color-brand-content": "#0b5f80"},
    "dark_css_variables": {"color-brand-primary": "#6cc5e8", "color-brand-content": "#6cc5e8"},
}
