"""Examine a site as it runs: ``manage.py doctor``.

Each check is one function that looks at one thing, and says what to do where it is not
as it should be.
"""
