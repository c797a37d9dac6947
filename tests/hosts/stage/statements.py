"""Write down the SQL of each request. A worker's thread has connections of its own, so
what it does is not among them.
"""

import json
from contextlib import ExitStack

from django.conf import settings
from django.db import connections


class Statements:
    """Outermost middleware: append one line of JSON per request."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        seen = []

        def note(execute, sql, params, many, context):
            seen.append(sql)
            return execute(sql, params, many, context)

        with ExitStack() as stack:
            for alias in connections:
                stack.enter_context(connections[alias].execute_wrapper(note))
            response = self.get_response(request)
        line = {"method": request.method, "path": request.path, "sql": seen}
        with (settings.BASE_DIR / "statements").open("a") as file:
            file.write(json.dumps(line) + "\n")
        return response
