"""Packages that keep a second factor: whoever has one there types a code of it behind
the link.
"""

import hmac
import struct
import time

from tests.hosts.host import Host
from tests.hosts.shapes.neighbours import ALLAUTH
from tests.hosts.steps import (
    ANN,
    BEN,
    CHECK,
    ann_asks,
    ann_gets_a_mail,
    ann_logs_in,
    ben_asks_a_program,
    ben_gets_a_mail,
    ben_logs_in,
    the_link_is_spent,
)
from tests.hosts.visit import NEW_PASSWORD, Visit
from tests.tools.servers import wait_until

#: Of RFC 6238, appendix B.
KEY = b"12345678901234567890"
BEN_S_CODE = "abcd2345"
BOSS = "boss@example.com"
SECOND_FACTOR = 'PASSWORD_RESET_SECOND_FACTOR = "password_reset.second_factor.%s"\n'

TYPED = f"""
from django.contrib.auth import get_user_model
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

user = get_user_model().objects.get_by_natural_key
ann, ben, boss = user("ann"), user("ben"), user("boss")
TOTPDevice.objects.create(user=ann, name="app", key="{KEY.hex()}")
StaticDevice.objects.create(user=ben, name="codes").token_set.create(token="{BEN_S_CODE}")
"""
SENT = """
from django_otp.plugins.otp_email.models import EmailDevice

EmailDevice.objects.create(user=boss, name="other", email="elsewhere@example.com")
"""
ALLAUTH_MFA = """
from pathlib import Path

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth import get_user_model

ann, ben, boss = get_user_model().objects.order_by("pk")[:3]
TOTP.activate(ann, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
for user in (ben, boss):
    Authenticator.objects.create(
        user=user, type=Authenticator.Type.WEBAUTHN, data={"name": "key"}
    )
codes = RecoveryCodes.activate(ben).generate_codes()
Path("ben.txt").write_text(codes[3])
"""


def the_link_asks_ann_for_a_code(visit: Visit) -> None:
    page = visit.browser.open(visit.links[ANN])
    visit.seen.append(page)
    assert [form for form in page.read.forms if "second_factor" in form.fields]
    assert "From your authenticator app" in page.text


def a_wrong_code_keeps_the_link(visit: Visit) -> None:
    page = set_password(visit, "wrong")
    assert (page.status, page.path) == (200, "/reset-password")
    assert "This code is not right" in page.text


def a_refused_password_keeps_the_code(visit: Visit) -> None:
    visit.code = totp_now()
    assert set_password(visit, visit.code, "123").path == "/reset-password"


def ann_types_her_code(visit: Visit) -> None:
    assert set_password(visit, visit.code).path == "/reset-password/done"


def the_token_asks_ben_for_one(visit: Visit) -> None:
    status, answer = visit.post_json("verify-reset-token", token=visit.tokens[BEN])
    assert (status, answer["second_factor"]) == (200, True)
    assert reset(visit, BEN) == "second_factor_required"


def ben_spends_a_recovery_code(visit: Visit) -> None:
    kept = visit.project.folder / "ben.txt"
    code = kept.read_text() if kept.exists() else BEN_S_CODE
    typed = f"{code[:4]} {code[4:].upper()}"
    assert reset(visit, BEN, second_factor=typed) == "reset"


def the_boss_has_nothing_to_type(visit: Visit) -> None:
    """Asked all the same: the link opens no more than the log-in."""
    assert visit.post_json("request-password-reset", email=BOSS)[0] == 202
    visit.take_mail(BOSS)
    page = visit.new_browser().open(visit.links[BOSS])
    assert "does not work on this page" in page.text
    assert reset(visit, BOSS) == "second_factor_required"
    assert reset(visit, BOSS, second_factor="123456") == "second_factor_invalid"


def nobody_has_lost_a_factor(visit: Visit) -> None:
    code = (
        "from password_reset.conf import conf;"
        "from django.contrib.auth import get_user_model as model;"
        "print([conf.second_factor().is_required(one) for one in model().objects.all()])"
    )
    assert visit.project.shell(code) == "[True, True, True]"


def set_password(visit: Visit, code: str, password: str = NEW_PASSWORD):
    answer = visit.seen[-1].submit(
        new_password1=password, new_password2=password, second_factor=code
    )
    visit.seen.append(answer)
    return answer


def reset(visit: Visit, email: str, **fields: str) -> str:
    """Return the code of the problem, or that there is none."""
    token = visit.tokens[email]
    status, answer = visit.post_json(
        "reset-password", token=token, password=NEW_PASSWORD, **fields
    )
    return "reset" if status == 200 else answer["code"]


def totp_now() -> str:
    """Return what Ann's app shows, with some seconds left to type it twice."""
    wait_until(lambda: time.time() % 30 < 22, lambda: "the clock stands", 30)
    digest = hmac.digest(KEY, struct.pack(">Q", int(time.time()) // 30), "sha1")
    [number] = struct.unpack_from(">I", digest, digest[-1] & 15)
    return f"{(number & 0x7FFFFFFF) % 10**6:06d}"


BY_APP = (
    ann_asks,
    ann_gets_a_mail,
    the_link_asks_ann_for_a_code,
    a_wrong_code_keeps_the_link,
    a_refused_password_keeps_the_code,
    ann_types_her_code,
    the_link_is_spent,
    ann_logs_in,
)
BY_RECOVERY_CODE = (
    ben_asks_a_program,
    ben_gets_a_mail,
    the_token_asks_ben_for_one,
    ben_spends_a_recovery_code,
    ben_logs_in,
)
WALKS = (
    CHECK,
    BY_APP,
    (
        *BY_RECOVERY_CODE,
        the_boss_has_nothing_to_type,
        nobody_has_lost_a_factor,
    ),
)
OTP_APPS = """
INSTALLED_APPS += [
    "django_otp",
    "django_otp.plugins.otp_email",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
]
"""
MFA_APPS = """
INSTALLED_APPS += ["allauth.mfa"]
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
"""
HOSTS = [
    Host(
        "django-otp",
        WALKS,
        settings=OTP_APPS + SECOND_FACTOR % "DjangoOTP",
        files={"after_prepare.py": TYPED + SENT},
    ),
    Host(
        "allauth-mfa",
        WALKS,
        urls="urlpatterns += [path('accounts/', include('allauth.urls'))]",
        files={"after_prepare.py": ALLAUTH_MFA},
        **(
            ALLAUTH
            | {
                "settings": ALLAUTH["settings"]
                + MFA_APPS
                + SECOND_FACTOR % "AllauthMFA"
            }
        ),
    ),
    Host(
        "second-factor-missing",
        (CHECK,),
        settings=SECOND_FACTOR % "AllauthMFA",
        checks=("password_reset.E010",),
        serves=False,
    ),
]
