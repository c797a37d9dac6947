"""Compile the translations (`make messages`); needs no gettext on the machine."""

import polib

from tests import ROOT

LOCALE = ROOT / "password_reset" / "locale"


def main() -> None:
    for source in sorted(LOCALE.glob("*/LC_MESSAGES/*.po")):
        messages = polib.pofile(str(source), check_for_duplicates=True)
        messages.save_as_mofile(str(source.with_suffix(".mo")))
        print(
            f"{source.parent.parent.name}: {messages.percent_translated()} % of "
            f"{len(messages)} messages"
        )


if __name__ == "__main__":
    main()
