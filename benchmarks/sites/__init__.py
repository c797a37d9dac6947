"""One small Django site for each way to reset a password, alike in all that is not the
reset.
"""
