"""The flow with the templates that this site has had for years."""

from django.urls import include, path, re_path

from password_reset import views

urlpatterns = [
    re_path(
        r"^forgot-password/?$",
        views.PasswordResetView.as_view(
            template_name="registration/password_reset_form.html",
            extra_context={"title": "Password reset"},
        ),
        name="password_reset",
    ),
    re_path(
        r"^forgot-password/done/?$",
        views.PasswordResetDoneView.as_view(
            template_name="registration/password_reset_done.html"
        ),
        name="password_reset_done",
    ),
    re_path(
        r"^reset-password/?$",
        views.PasswordResetConfirmView.as_view(
            template_name="registration/password_reset_confirm.html",
            extra_context={"validlink": True},
        ),
        name="password_reset_confirm",
    ),
    re_path(
        r"^reset-password/done/?$",
        views.PasswordResetCompleteView.as_view(
            template_name="registration/password_reset_complete.html"
        ),
        name="password_reset_complete",
    ),
    path("", include("project.urls")),
]
