"""How Sphinx builds the site: `make docs`.

The pages are the Markdown files of this folder, readable where they lie. What they
leave out of the repository's root are four pages that include a file of it.
"""

import os
import sys
from pathlib import Path

import django
from django.conf import settings

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from password_reset import __version__  # noqa: E402 - it may not be installed

# What autodoc imports and the reference asks; no database is opened.
settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "password_reset",
    ],
    DEFAULT_FROM_EMAIL="webmaster@localhost",
    PASSWORD_RESET_BASE_URL="https://www.example.com",
    USE_TZ=True,
)
django.setup()

project = "django-resetkit"
author = "The django-resetkit developers"
project_copyright = author
#: Read the Docs builds a branch as "latest"; what was released has its number.
version = os.environ.get("READTHEDOCS_VERSION_NAME", __version__)
release = __version__
language = "en"
# Quotation marks and dashes are what they look like, and `--loop` is an option.
smartquotes = False

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "docs.extension.accessible",
    "docs.extension.links",
    "docs.extension.pictures",
    "docs.extension.reference",
]
source_suffix = {".md": "markdown"}
include_patterns = ["*.md", "how-to/*.md"]
nitpicky = False
myst_heading_anchors = 4
# Python as the site shows it: what is public has a docstring, in the order of the file.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"django-resetkit {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#14504f",
        "color-brand-content": "#14504f",
        "color-brand-visited": "#14504f",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7fd1c7",
        "color-brand-content": "#7fd1c7",
        "color-brand-visited": "#7fd1c7",
    },
}
