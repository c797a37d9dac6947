"""What a request to the demo's other forms may carry; the pages of the flow have limits
of their own.
"""

from password_reset.guard import BodyLimit

#: The admin's lists post a field for each row that is chosen; there are no uploads.
LIMITS = {
    "/login": BodyLimit(),
    "/logout": BodyLimit(),
    "/admin/login/": BodyLimit(),
    "/admin/": BodyLimit(size=128 * 1024, fields=1000),
}
