"""Announcements of the flow, sent with ``send_robust``: a receiver can neither stop nor
break it.

``sender`` is the model class of the row concerned. Receivers of ``reset_requested`` run
in the web request and must not look the user up, or the time of the answer tells who
has an account.
"""

from __future__ import annotations

from django.dispatch import Signal

#: Arguments: ``reset_request`` (PasswordResetRequest).
reset_requested = Signal()
#: The email is given up. Arguments: ``row`` (PasswordResetRequest, PasswordResetNotice,
#: PasswordResetInvitation or ForcedPasswordReset), ``reason`` (str, a code).
reset_mail_failed = Signal()
#: Arguments: ``reason`` (invalid, expired or used; code; second_factor), ``ip_address``
#: (str or None).
reset_rejected = Signal()
#: The reader of an email said: it was not me. Arguments: ``row`` (PasswordResetRequest,
#: or PasswordResetNotice where the password was changed), ``links_voided`` (int),
#: ``sessions_deleted`` (int), ``ip_address``, ``user_agent``.
reset_disowned = Signal()
#: The site asks a user to choose a first password. Arguments: ``row``
#: (PasswordResetInvitation).
user_invited = Signal()
#: The site has ended a user's password. Arguments: ``user``, ``row``
#: (ForcedPasswordReset), ``sessions_deleted`` (int).
reset_forced = Signal()
#: Arguments: ``user``, ``token`` (PasswordResetToken), ``sessions_deleted`` (int),
#: ``ip_address``, ``user_agent``.
reset_completed = Signal()
