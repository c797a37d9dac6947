"""The tables in Django's admin: for support staff to read, with a few actions that have
permissions of their own.
"""

from django.contrib import admin

from password_reset.campaigns import (
    ForcedPasswordReset,
    PasswordResetCampaign,
    PasswordResetInvitation,
)
from password_reset.models import (
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
    UserSession,
)

from .campaigns import CampaignAdmin, ForcedResetAdmin, InvitationAdmin
from .requests import NoticeAdmin, RequestAdmin
from .tokens import SessionAdmin, TokenAdmin
from .users import SendResetLinkMixin

__all__ = [
    "CampaignAdmin",
    "ForcedResetAdmin",
    "InvitationAdmin",
    "NoticeAdmin",
    "RequestAdmin",
    "SendResetLinkMixin",
    "SessionAdmin",
    "TokenAdmin",
]

admin.site.register(PasswordResetRequest, RequestAdmin)
admin.site.register(PasswordResetToken, TokenAdmin)
admin.site.register(PasswordResetNotice, NoticeAdmin)
admin.site.register(UserSession, SessionAdmin)
admin.site.register(PasswordResetInvitation, InvitationAdmin)
admin.site.register(ForcedPasswordReset, ForcedResetAdmin)
admin.site.register(PasswordResetCampaign, CampaignAdmin)
