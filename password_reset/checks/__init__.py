"""System checks: each has one concern, an id, a sentence and a hint.
``docs/settings.md`` lists them.
"""

from __future__ import annotations

from django.core.checks import Tags, register

from . import (
    accounts,
    brand_looks,
    brands,
    limits,
    mail,
    other_flows,
    pages,
    sending,
    site,
)

#: Looked at by ``manage.py check``, and with every command that runs checks.
ALWAYS = (
    sending.check_base_url,
    sending.check_base_url_is_secure,
    sending.check_script_name,
    sending.check_settings,
    sending.check_link,
    sending.check_task_backend,
    sending.check_task_queue,
    sending.check_immediate,
    sending.check_names,
    mail.check_mailers,
    mail.check_mail_server,
    mail.check_sender,
    mail.check_mail_timeout,
    mail.check_mail_in_logs,
    limits.check_limits_are_on,
    limits.check_cache,
    limits.check_cache_client,
    limits.check_proxies,
    limits.check_challenge,
    limits.check_device_cookie,
    pages.check_templates,
    accounts.check_databases,
    pages.check_login_page,
    site.check_allowed_hosts,
    site.check_cookies,
    site.check_session_engine,
    pages.check_change_password_url,
    other_flows.check_other_flows,
    site.check_clashing_package,
    accounts.check_user_model,
    accounts.check_timeout_setting,
    accounts.check_second_factor,
    brands.check_options,
    brands.check_option_names,
    brands.check_hosts,
    brands.check_secure,
    brand_looks.check_senders,
    brand_looks.check_colours,
    brand_looks.check_folders,
    brand_looks.check_link_templates,
    brands.check_allowed,
)
#: Looked at by ``manage.py check --database default`` and by ``migrate``.
WITH_DATABASE = (
    sending.check_backlog,
    accounts.check_address_index,
    brands.check_brand_of,
)


def register_all() -> None:
    """Register every check."""
    for check in ALWAYS:
        register(check, Tags.security)
    for check in WITH_DATABASE:
        register(check, Tags.database)
