"""Run a management command in this process; print its seconds and this process's peak
memory as JSON.
"""

import json
import resource
import sys
import time
from io import StringIO

import django
from django.core.management import call_command
from django.db import connection


def run(name: str) -> dict[str, float]:
    """Time a command without what it takes Python to start."""
    connection.ensure_connection()
    before = time.perf_counter()
    call_command(name, stdout=StringIO())
    seconds = time.perf_counter() - before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "megabytes": memory}


if __name__ == "__main__":
    django.setup()
    print(json.dumps(run(sys.argv[1])))
