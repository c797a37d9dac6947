from django.urls import reverse
from django.utils.translation import gettext as _
from wagtail import hooks
from wagtail.admin.widgets import Button


@hooks.register("register_user_listing_buttons")
def send_a_reset_link(user, request_user):
    """Lead from Wagtail's list of users to the page that sends a link."""
    if request_user.is_staff and request_user.has_perm(
        "password_reset.send_passwordresetrequest"
    ):
        url = reverse("admin:password_reset_passwordresetrequest_send", args=[user.pk])
        yield Button(_("Send a reset link"), url, icon_name="mail")
