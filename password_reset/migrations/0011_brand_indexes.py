from django.db import migrations, models

import password_reset.models
from password_reset.migrations._online import AddIndexOnline


class Migration(migrations.Migration):
    """Indexes that 0008 made in the transaction of its columns, and so behind their locks;
    where it has, nothing happens.
    """

    atomic = False

    dependencies = [
        ('password_reset', '0010_deliveries'),
    ]

    operations = [
        AddIndexOnline(
            model_name='passwordresetnotice',
            index=models.Index(condition=models.Q(('brand', ''), _negated=True), fields=['brand', 'id'], name='password_reset_notices_brand'),
        ),
        AddIndexOnline(
            model_name='passwordresetrequest',
            index=models.Index(condition=models.Q(('brand', ''), _negated=True), fields=['brand', 'id'], name='password_reset_requests_brand'),
        ),
        AddIndexOnline(
            model_name='passwordresettoken',
            index=password_reset.models.LongNameIndex(condition=models.Q(('brand', ''), _negated=True), fields=['brand', 'id'], name='idx_password_reset_tokens_brand'),
        ),
    ]
