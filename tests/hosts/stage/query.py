"""Print as JSON the rows that the host's database answers to one statement."""

import json
import sys

import django
from django.db import connection

if __name__ == "__main__":
    django.setup()
    sql, *values = sys.argv[1:]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        print(json.dumps(cursor.fetchall(), default=str))
