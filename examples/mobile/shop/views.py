"""What tells a phone that links of this site belong to an app."""

from django.conf import settings
from django.http import JsonResponse
from django.urls import reverse


def apple(request):
    """Return the paths that the app opens: that of the link alone."""
    components = [{"/": reverse("password_reset_confirm"), "?": {"token": "?*"}}]
    details = [{"appIDs": [settings.IOS_APP], "components": components}]
    return JsonResponse({"applinks": {"details": details}})


def android(request):
    """Return the app; its manifest has the path of the link."""
    target = {
        "namespace": "android_app",
        "package_name": settings.ANDROID_APP,
        "sha256_cert_fingerprints": [settings.ANDROID_FINGERPRINT],
    }
    relation = ["delegate_permission/common.handle_all_urls"]
    return JsonResponse([{"relation": relation, "target": target}], safe=False)
