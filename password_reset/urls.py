"""The pages, under Django's own names and without a namespace.

The admin's log-in page shows a link where ``admin_password_reset`` is a page.
"""

from __future__ import annotations

from django.urls import re_path

from . import brand_style, not_me, views
from .doctor.page import DoctorView

request = views.PasswordResetView.as_view()
done = views.PasswordResetDoneView.as_view()
code = views.PasswordResetCodeView.as_view()
confirm = views.PasswordResetConfirmView.as_view()
complete = views.PasswordResetCompleteView.as_view()
style = brand_style.BrandStyleView.as_view()
doctor = DoctorView.as_view()
disown = not_me.PasswordResetDisownView.as_view()

urlpatterns = [
    re_path(r"^forgot-password/?$", request, name="password_reset"),
    re_path(r"^forgot-password/?$", request, name="admin_password_reset"),
    re_path(r"^forgot-password/done/?$", done, name="password_reset_done"),
    re_path(r"^forgot-password/code/?$", code, name="password_reset_code"),
    re_path(r"^forgot-password/brand\.css$", style, name="password_reset_brand_style"),
    re_path(r"^forgot-password/doctor/?$", doctor, name="password_reset_doctor"),
    re_path(r"^reset-password/?$", confirm, name="password_reset_confirm"),
    re_path(r"^reset-password/done/?$", complete, name="password_reset_complete"),
    re_path(r"^reset-password/not-me/?$", disown, name="password_reset_disown"),
]
