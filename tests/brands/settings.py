"""The demo as a site of three brands, for the processes of a test."""

from tests.brands import SETTINGS
from tests.brands import TEMPLATES as FOLDER
from tests.site_settings import *  # noqa: F403
from tests.site_settings import TEMPLATES

globals().update(SETTINGS)
TEMPLATES[0]["DIRS"] = [FOLDER, *TEMPLATES[0]["DIRS"]]
