from django.db import migrations, models
from django.db.models import Q

import password_reset.models

from ._online import AddIndexOnline


class Migration(migrations.Migration):
    """Indexes for the filters of the admin, built while the site writes."""

    atomic = False

    dependencies = [('password_reset', '0012_session_browser')]

    operations = [
        AddIndexOnline(
            model_name='passwordresetdelivery',
            index=models.Index(condition=~Q(state='accepted'), fields=['state', 'kind', 'row_id'], name='password_reset_deliv_state'),
        ),
        AddIndexOnline(
            model_name='passwordresetrequest',
            index=models.Index(condition=Q(mails_sent=0, processed_at__isnull=False), fields=['id'], name='password_reset_requests_nobody'),
        ),
        AddIndexOnline(
            model_name='passwordresettoken',
            index=password_reset.models.LongNameIndex(fields=['created_at'], name='idx_password_reset_tokens_created_at'),
        ),
    ]
