"""The pages for people: class attributes and two methods each; the rules are in the
services.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone
from django.utils.decorators import decorator_from_middleware
from django.utils.functional import cached_property
from django.utils.log import log_response
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.generic import View

from . import (
    brand_templates,
    brands,
    codes,
    factors,
    flows,
    metrics,
    ratelimit,
    redirects,
    second_factor,
    services,
    telemetry,
)
from .bodies import BadBody, BodyLimit, check_request
from .brands import Brand
from .challenge import PROOF_FIELD, WAIT_WITHOUT_PROOF, Challenge, ProofNeeded
from .conf import conf
from .forms import EMAIL_LENGTH, CodeForm, PasswordResetForm, SetPasswordForm
from .models import PasswordResetRequest, PasswordResetToken
from .pages import Page, login_url, path_of
from .purposes import Purpose
from .redaction import scrub
from .reporting import RedactingReporter
from .users import login_name
from .visitors import Visitor, brand_of, visitor_of

logger = logging.getLogger("password_reset")

Response = TypeVar("Response", bound=HttpResponseBase)

DEAD_LINKS = {
    "malformed": ("password_reset/link_incomplete.html", 404),
    "invalid": ("password_reset/link_unknown.html", 404),
    "expired": ("password_reset/link_expired.html", 410),
    "used": ("password_reset/link_used.html", 410),
}


#: An invitation that is dead in another way than a link for a forgotten password.
DEAD_INVITATIONS = {"expired": ("password_reset/invitation_expired.html", 410)}

#: Names the request that a browser made, so that it may type the code of its email.
REQUEST_COOKIE = "password_reset_request"
#: Marks the browser that has just set a password; it proves nothing and opens nothing.
SAVED_COOKIE = "password_reset_saved"
SAVED_SECONDS = 600
#: It also names where that browser was before, for the button of the last page.
SAVED_SALT = "password_reset.views.saved"
#: Seconds until the page offers to send the email again; limits may ask for more.
RESEND_PAUSE = 60


class FlowCsrfMiddleware(CsrfViewMiddleware):
    """Django's CSRF protection with a page that says what to do."""

    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        response = secured(
            page(request, "password_reset/csrf_failed.html", status=403), FlowView
        )
        log_response(
            "Forbidden (%s): %s",
            reason,
            request.path,
            response=response,
            request=request,
            logger=logging.getLogger("django.security.csrf"),
        )
        return response


def page(
    request: HttpRequest, template_name: str, *, status: int = 200, **context: Any
) -> HttpResponse:
    """Render a page of the flow, as the brand has it whose host was asked."""
    html = brand_templates.render(template_name, context, brand_of(request), request)
    return HttpResponse(html, status=status)


def secured(response: Response, view: type[FlowView] | FlowView) -> Response:
    """Add the headers that every answer of the flow carries."""
    response["Cache-Control"] = "no-store"
    # same-origin would send the token in the Referer of our own style sheet, and
    # no-referrer makes browsers send "Origin: null", which CSRF protection refuses.
    response["Referrer-Policy"] = "strict-origin"
    response["Content-Security-Policy"] = view.content_security_policy
    response["X-Frame-Options"] = "DENY"
    response["X-Content-Type-Options"] = "nosniff"
    return response


class FlowView(View):
    """What all pages share: headers, CSRF protection, pages for 429 and 503."""

    template_name: str
    #: Which page this is, for those that lead to it; a subclass stays it.
    flow_page: Page | None = None
    http_method_names = ["get", "head", "options"]
    #: What the template gets beside the page's own context, as in Django's views.
    extra_context: dict[str, Any] | None = None
    #: What a form of this page may hold; anything else is refused before it is parsed.
    body_limit = BodyLimit()
    #: Style sheets and scripts from this site's own static files; nothing inline,
    #: nothing foreign.
    content_security_policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' "
        "data:; font-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        # Once around the whole view, for a decorated method is decorated anew by each
        # request.
        view = transaction.non_atomic_requests(super().as_view(**initkwargs))
        # Exempt only from the host's middleware: FlowCsrfMiddleware does the same work.
        return login_not_required(csrf_exempt(sensitive_post_parameters()(view)))

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        request.exception_reporter_class = RedactingReporter
        telemetry.hide_query()
        if not conf.enabled:
            return secured(self.unavailable(), self)
        try:
            # Before CSRF protection, which is the first to read the form.
            check_request(request, self.body_limit)
            return secured(_csrf_protected(request, self, *args, **kwargs), self)
        except BadBody as error:
            self.count("invalid")
            return self.refused(error, self.brand)
        except Exception:
            scrub(request)  # an error email shows the query and the Referer
            raise

    @classmethod
    def refused(cls, error: BadBody, brand: Brand | None = None) -> HttpResponse:
        """Say that a form could not be read. Without the request, which is not to be
        read either.
        """
        template_name = "password_reset/bad_request.html"
        html = brand_templates.render(template_name, {}, brand or brands.get(""))
        return secured(HttpResponse(html, status=error.status), cls)

    def protected_dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        except ratelimit.RateLimited as limited:
            return self.rate_limited(limited)
        except services.TokenError as error:
            return self.dead_link(error)
        except services.DEPENDENCY_DOWN as error:
            services.record_outage(error)
            return self.unavailable()

    def rate_limited(self, limited: ratelimit.RateLimited) -> HttpResponse:
        """Say when to come back."""
        self.count("rate_limited")
        wait = limited.retry_after
        retry_at = timezone.now() + timedelta(seconds=wait)
        response = self.page(
            "password_reset/rate_limited.html",
            status=429,
            retry_after=wait,
            retry_at=retry_at,
        )
        response["Retry-After"] = str(wait)
        return response

    def unavailable(self) -> HttpResponse:
        """Say that the flow is switched off, or that something it needs is down."""
        self.count("unavailable")
        wait = services.RETRY_AFTER
        # Without the request: a context processor may need the very thing that is down.
        html = brand_templates.render(
            "password_reset/unavailable.html",
            {"retry_after": wait, "login_url": self.login_url()},
            self.brand,
        )
        return HttpResponse(html, status=503, headers={"Retry-After": str(wait)})

    def dead_link(self, error: services.TokenError) -> HttpResponse:
        """Say what is wrong with a link, and offer a new one."""
        reason = "malformed" if error.is_malformed else error.reason
        pages = DEAD_LINKS
        if error.purpose == Purpose.INVITATION:
            pages = DEAD_LINKS | DEAD_INVITATIONS
        template_name, status = pages[reason]
        return self.page(
            template_name,
            status=status,
            form=PasswordResetForm(),
            dead_token=self.token(),
        )

    def token(self) -> str:
        """Return the token of the link that a request carries, or nothing."""
        request = self.request
        carried = request.POST if request.method == "POST" else request.GET
        return carried.get("token", "")

    def page(
        self, template_name: str, *, status: int = 200, **context: Any
    ) -> HttpResponse:
        """Render a page of the flow; each may lead back to the log-in page."""
        next_url = self.next_url()
        context = {
            "next": next_url,
            "login_url": self.login_url_to(next_url),
            "site_url": self.brand.base_url,
            **context,
            **(self.extra_context or {}),
        }
        return page(self.request, template_name, status=status, **context)

    @cached_property
    def brand(self) -> Brand:
        """The brand whose host was asked."""
        return brand_of(self.request)

    def login_url(self) -> str | None:
        """Return where to log in, or ``None`` where the site has no such page."""
        return login_url(self.brand)

    def login_url_to(self, path: str) -> str | None:
        """Return where to log in and be led on to a path of this brand's host."""
        return redirects.with_next(self.login_url(), path, self.brand.base_url)

    def next_url(self) -> str:
        """Return where the visitor was, on the pages that carry it on."""
        return ""

    def count(self, status: str) -> None:
        """Count an answer; only requests for a link are."""


def _saved_value(next_url: str) -> str:
    """Return what the cookie of a browser says that has just set a password."""
    return signing.dumps(next_url, salt=SAVED_SALT) if next_url else "1"


def _next_of_saved(value: str) -> str:
    """Return where that browser was; nothing for a value that another site may have
    put there.
    """
    try:
        return str(signing.loads(value, salt=SAVED_SALT, max_age=SAVED_SECONDS))
    except signing.BadSignature:
        return ""


def _remember(response: HttpResponse, handle: str) -> None:
    response.set_cookie(
        REQUEST_COOKIE,
        handle,
        max_age=codes.HANDLE_LIFETIME,
        path=path_of(Page.REQUEST),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


@decorator_from_middleware(FlowCsrfMiddleware)
def _csrf_protected(
    request: HttpRequest, view: FlowView, *args: Any, **kwargs: Any
) -> HttpResponseBase:
    return view.protected_dispatch(request, *args, **kwargs)


class PasswordResetView(FlowView):
    """Ask for an address and accept the request."""

    template_name = "password_reset/form.html"
    flow_page = Page.REQUEST
    http_method_names = ["get", "post", "head", "options"]
    form_class = PasswordResetForm
    #: Where an accepted request leads; ``None`` for the flow's own page.
    success_url: str | None = None

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page(self.template_name, form=self.form_class())

    def post(self, request: HttpRequest) -> HttpResponse:
        if redirects.PREFILL_FIELD in request.POST:
            return self.prefilled()
        if "token" in request.POST and "email" not in request.POST:
            return self.renew()
        form = self.form_class(request.POST)
        if not form.is_valid():
            self.count("invalid")
            return self.page(self.template_name, form=form)
        email = form.cleaned_data["email"]
        proof = request.POST.get(PROOF_FIELD, "")
        visitor = visitor_of(request)
        try:
            row = flows.request_link(
                email, visitor, source="web", proof=proof, next_url=self.next_url()
            )
        except ProofNeeded as needed:
            return self.ask_for_proof(form, needed.challenge)
        return self.accepted(row)

    def prefilled(self) -> HttpResponse:
        """Show the form with the address that a log-in form was sent here with. Nothing
        is counted or sent; what does not look like an address is not shown.
        """
        name = self.request.POST[redirects.PREFILL_FIELD]
        typed = self.request.POST.get(name, "").strip()
        fits = "@" in typed and typed.isprintable() and len(typed) <= EMAIL_LENGTH
        form = self.form_class(initial={"email": typed} if fits else None)
        return self.page(self.template_name, form=form)

    def ask_for_proof(
        self, form: PasswordResetForm, challenge: Challenge
    ) -> HttpResponse:
        """Show the form again with a challenge; who cannot solve it has to wait."""
        self.count("rate_limited")
        # Once by itself: a proof that was refused must not be sent round and round.
        is_first = not self.request.POST.get(PROOF_FIELD)
        response = self.page(
            self.template_name,
            status=429,
            form=form,
            challenge={
                **challenge.issue(),
                "template_name": challenge.template_name,
                "is_first": is_first,
            },
            retry_after=WAIT_WITHOUT_PROOF,
        )
        response["Retry-After"] = str(WAIT_WITHOUT_PROOF)
        return response

    def renew(self) -> HttpResponse:
        """Send a new link to the address of an old one, which is never shown."""
        visitor = visitor_of(self.request)
        return self.accepted(flows.renew_link(self.token(), visitor, source="web"))

    def accepted(self, row: PasswordResetRequest) -> HttpResponse:
        """Lead on, in the same way whoever asked."""
        done = redirects.with_next(path_of(Page.DONE), self.next_url())
        response = HttpResponseRedirect(str(self.success_url or done))
        if conf.codes:
            _remember(response, codes.handle_of(row))
        return response

    def next_url(self) -> str:
        return redirects.next_of(self.request)

    def dead_link(self, error: services.TokenError) -> HttpResponse:
        self.count("invalid")
        return super().dead_link(error)

    def count(self, status: str) -> None:
        if self.request.method == "POST":
            metrics.requests_total.labels(status=status).inc()


class PasswordResetDoneView(FlowView):
    """Say what happens next, the same to everybody."""

    template_name = "password_reset/done.html"
    flow_page = Page.DONE
    code_form_class = CodeForm

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.done_page(self.code_form_class())

    def done_page(self, form: CodeForm) -> HttpResponse:
        """Render the page with the field for a code, in the browser that asked."""
        waits = conf.codes and REQUEST_COOKIE in self.request.COOKIES
        return self.page(
            self.template_name,
            token_lifetime=conf.token_lifetime,
            resend_pause=RESEND_PAUSE,
            request_rates=[*conf.request_rate_per_ip, *conf.request_rate_per_email],
            code_lifetime=codes.LIFETIME,
            code_form=form if waits or form.is_bound else None,
        )

    def next_url(self) -> str:
        return redirects.next_of(self.request)


class PasswordResetConfirmView(FlowView):
    """Show the form that a link opens, and set the password."""

    template_name = "password_reset/confirm.html"
    flow_page = Page.CONFIRM
    missing_template_name = "password_reset/link_missing.html"
    http_method_names = ["get", "post", "head", "options"]
    form_class = SetPasswordForm
    #: Where a reset leads; ``None`` for the flow's own page.
    success_url: str | None = None

    @sensitive_variables("raw")
    def get(self, request: HttpRequest) -> HttpResponse:
        raw = self.token()
        if not raw:
            return self.page(self.missing_template_name)
        token = flows.look_at(raw, visitor_of(request))
        hint = factors.hint_for(token.user)
        return self.form_page(self.form_for(token, hint, initial={"token": raw}))

    @sensitive_variables("raw")
    def post(self, request: HttpRequest) -> HttpResponse:
        raw = self.token()
        visitor = visitor_of(request)
        token = flows.begin_reset(raw, visitor)
        form = self.form_for(token, factors.hint_for(token.user), request.POST)
        if form.is_valid() and self.reset(raw, token, form, visitor):
            return self.saved(token.next_url)
        form.complain_of_code()
        return self.form_page(form)

    def form_for(
        self, token: PasswordResetToken, hint: str | None, *args: Any, **kwargs: Any
    ) -> SetPasswordForm:
        """Return the form for a link's account, which asks for a second factor where
        there is a hint for one.
        """
        form = self.form_class(token.user, *args, **kwargs)
        form.ask_second_factor(hint)
        return form

    def saved(self, next_url: str = "") -> HttpResponse:
        """Lead on, and let the flow's own page know that it is telling the truth, and
        where its visitor was.
        """
        if self.success_url is not None:
            return HttpResponseRedirect(str(self.success_url))
        target = path_of(Page.COMPLETE)
        response = HttpResponseRedirect(target)
        response.set_cookie(
            SAVED_COOKIE,
            _saved_value(next_url),
            max_age=SAVED_SECONDS,
            path=target,
            secure=self.request.is_secure(),
            httponly=True,
            samesite="Strict",
        )
        return response

    @sensitive_variables("raw")
    def reset(
        self,
        raw: str,
        token: PasswordResetToken,
        form: SetPasswordForm,
        visitor: Visitor,
    ) -> bool:
        """Set the password; ``False`` with errors on the form when the site's
        validators refuse it, or the second factor its code.
        """
        try:
            # Inline: an error email shows the variables of every frame.
            flows.finish_reset(
                raw,
                token,
                form.cleaned_data["new_password1"],
                visitor,
                form.typed_code,
            )
        except ValidationError as error:
            form.refuse(error)
        except services.SecondFactorError:
            form.refuse_code()
        else:
            return True
        return False

    def form_page(self, form: SetPasswordForm) -> HttpResponse:
        """Render the form with whose account it is and what the site asks of a
        password.
        """
        return self.page(
            self.template_name,
            form=form,
            username=login_name(form.user),
            password_rules=form.rules(),
        )


class PasswordResetCodeView(PasswordResetDoneView):
    """Take the code of an email: a right one opens the form as the link does."""

    flow_page = Page.CODE
    http_method_names = ["get", "post", "head", "options"]
    confirm_view_class = PasswordResetConfirmView

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(path_of(Page.DONE))

    @sensitive_variables("opened")
    def post(self, request: HttpRequest) -> HttpResponse:
        if not conf.codes:
            return self.get(request)
        form = self.code_form_class(request.POST)
        if form.is_valid():
            handle = codes.request_of(request.COOKIES.get(REQUEST_COOKIE, ""))
            try:
                opened = flows.open_with_code(
                    handle, form.cleaned_data["code"], visitor_of(request)
                )
            except codes.CodeError as error:
                form.refuse(error.tries_left)
            else:
                return self.open(opened)
        return self.done_page(form)

    @sensitive_variables("opened")
    def open(self, opened: codes.OpenedLink) -> HttpResponse:
        """Answer the page that the link opens, with its secret in the form."""
        view = self.confirm_view_class()
        view.setup(self.request)
        initial = {"token": opened.raw}
        try:
            hint = factors.hint_for(opened.token.user)
        except services.SecondFactorUnavailable:
            # The code is spent, and this page alone has what it became: saving decides.
            hint = str(second_factor.HINT)
        return view.form_page(view.form_for(opened.token, hint, initial=initial))


class PasswordResetCompleteView(FlowView):
    """Say that the password is set, where it was. Nobody is logged in: a second factor
    is not bypassed.
    """

    template_name = "password_reset/complete.html"
    flow_page = Page.COMPLETE

    def get(self, request: HttpRequest) -> HttpResponse:
        saved = request.COOKIES.get(SAVED_COOKIE)
        return self.page(
            self.template_name,
            saved=saved is not None,
            continue_url=self.continue_url(_next_of_saved(saved or "")),
        )

    def continue_url(self, next_url: str) -> str | None:
        """Return the URL of the button that leads back to where the visitor was, by way
        of the log-in page; nothing where that is unknown.
        """
        path = redirects.safe_path(next_url)
        return path and (self.login_url_to(path) or path)
