"""Delete the tasks whose worker was killed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

#: A task of this site works for five seconds, and for one email more.
AGE = timedelta(hours=1)


class Command(BaseCommand):
    help = (
        "Delete the tasks of the queue that began over an hour ago and never ended: "
        "their worker was killed, and prune_db_task_results keeps them for ever. What "
        "they were to send is in the outbox."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        killed = DBTaskResult.objects.running().filter(
            started_at__lt=timezone.now() - AGE
        )
        deleted, _ = killed.delete()
        self.stdout.write(f"Deleted {deleted} killed tasks.")
