"""What cron does elsewhere; Celery's beat calls it."""

from celery import shared_task

from password_reset import services


@shared_task(ignore_result=True)
def send_what_is_due():
    """Work on what a crash, a lost task or an outage has left."""
    services.process_due()


@shared_task(ignore_result=True)
def purge():
    services.purge()
