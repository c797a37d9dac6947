"""Celery, as its own guide for Django has it."""

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["shop"])

app.conf.beat_schedule = {
    "send": {"task": "shop.tasks.send_what_is_due", "schedule": 60.0},
    "purge": {"task": "shop.tasks.purge", "schedule": crontab(hour=3, minute=17)},
}
