"""What an earlier release does on today's schema, and what of it must stay for one.

``python -m tests.upgrades record [REVISION or WHEEL]`` writes `schema.json`, the columns
of the last release, on which `tests/unit/test_upgrades.py` holds the migrations.
"""
