import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """A new table, and a permission."""

    dependencies = [
        ('password_reset', '0009_campaigns'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='passwordresetrequest',
            options={'permissions': [('retry_passwordresetrequest', 'Can retry password reset requests'), ('send_passwordresetrequest', 'Can send a reset link to a user'), ('explain_passwordresetrequest', 'Can see why a person cannot reset their password'), ('erase_passwordresetrequest', 'Can erase what is kept of an email address')], 'verbose_name': 'password reset request', 'verbose_name_plural': 'password reset requests'},
        ),
        migrations.CreateModel(
            name='PasswordResetDelivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=64, verbose_name='kind')),
                ('row_id', models.BigIntegerField(verbose_name='row')),
                ('email', models.CharField(max_length=320, verbose_name='sent to')),
                ('message_id', models.CharField(max_length=255, verbose_name='message ID')),
                ('sent_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='sent at')),
                ('state', models.CharField(choices=[('accepted', 'accepted by the mail server'), ('deferred', "delayed by the recipient's server"), ('delivered', 'delivered'), ('soft_bounced', 'not delivered, for a passing reason'), ('bounced', "refused for good by the recipient's server"), ('rejected', 'not sent by the mail provider'), ('complained', 'reported as spam by its reader')], default='accepted', max_length=16, verbose_name='state')),
                ('changed_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='since')),
                ('reason', models.CharField(blank=True, max_length=64, verbose_name='reason')),
            ],
            options={
                'verbose_name': 'sent email',
                'verbose_name_plural': 'sent emails',
                'db_table': 'password_reset_deliveries',
                'default_permissions': (),
                'indexes': [models.Index(fields=['message_id'], name='password_reset_deliveries_id'), models.Index(fields=['kind', 'row_id'], name='password_reset_deliveries_row'), models.Index(fields=['email'], name='password_reset_deliv_email', opclasses=['varchar_pattern_ops']), models.Index(fields=['sent_at'], name='password_reset_deliveries_age')],
            },
        ),
    ]
