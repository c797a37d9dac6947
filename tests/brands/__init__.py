"""A site of three brands and two languages: what it sets, for tests and processes."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"

GARDEN, PLUM, FIG = "garden.example", "plum.example", "feige.example"
HOSTS = [GARDEN, PLUM, FIG, "www.garden.example", "127.0.0.1", "testserver"]

SETTINGS = {
    "PASSWORD_RESET_BASE_URL": f"http://{GARDEN}",
    "PASSWORD_RESET_APP_NAME": "The Garden",
    "PASSWORD_RESET_FROM_EMAIL": f"post@{GARDEN}",
    "PASSWORD_RESET_SUPPORT_EMAIL": f"help@{GARDEN}",
    "PASSWORD_RESET_CODES": True,
    "PASSWORD_RESET_BRANDS": {
        "plum": {
            "APP_NAME": "Plum & Co",
            "BASE_URL": f"http://{PLUM}",
            "FROM_EMAIL": f"Plum <post@{PLUM}>",
            "BRAND_COLOR": "#4a0d2b",
            "SUPPORT_URL": f"https://{PLUM}/help",
            "SUPPORT_EMAIL": None,
            "LOGIN_URL": "/plum/log-in",
            "TEMPLATES": "plum",
        },
        "fig": {
            "APP_NAME": "Feige",
            "BASE_URL": f"http://{FIG}",
            "FROM_EMAIL": f"post@{FIG}",
            "BRAND_COLOR": "#1b5e20",
            "BRAND_COLOR_DARK": "#a5d6a7",
            "TEMPLATES": "fig",
        },
    },
    "ALLOWED_HOSTS": HOSTS,
}
