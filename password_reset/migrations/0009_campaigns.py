import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """New tables, and a column whose constant default rewrites no table: the release before
    writes no purpose, and its links are of the default one.
    """

    dependencies = [
        ('password_reset', '0008_brands'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='passwordresettoken',
            name='purpose',
            field=models.CharField(choices=[('reset', 'reset'), ('invitation', 'invitation'), ('forced', 'forced reset')], db_default='reset', default='reset', editable=False, max_length=12, verbose_name='purpose'),
        ),
        migrations.CreateModel(
            name='PasswordResetCampaign',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('invitation', 'invitations'), ('forced', 'forced resets')], max_length=12, verbose_name='kind')),
                ('selection', models.CharField(editable=False, max_length=64)),
                ('open_key', models.CharField(editable=False, max_length=80, null=True, unique=True)),
                ('started_by', models.CharField(blank=True, max_length=150, verbose_name='started by')),
                ('rate', models.FloatField(blank=True, null=True, verbose_name='emails per second')),
                ('next_slot_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created at')),
                ('completed_at', models.DateTimeField(blank=True, null=True, verbose_name='completed at')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished at')),
            ],
            options={
                'verbose_name': 'password campaign',
                'verbose_name_plural': 'password campaigns',
                'db_table': 'password_reset_campaigns',
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['created_at'], name='password_reset_campaigns_age')],
            },
        ),
        migrations.CreateModel(
            name='ForcedPasswordReset',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('ip_address', models.GenericIPAddressField(blank=True, null=True, verbose_name='IP address')),
                ('user_agent', models.CharField(blank=True, max_length=512, verbose_name='user agent')),
                ('language', models.CharField(blank=True, max_length=35, verbose_name='language')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created at')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('next_attempt_at', models.DateTimeField(blank=True, null=True, verbose_name='next attempt at')),
                ('processed_at', models.DateTimeField(blank=True, null=True, verbose_name='processed at')),
                ('failed_at', models.DateTimeField(blank=True, null=True, verbose_name='given up at')),
                ('mails_sent', models.PositiveSmallIntegerField(default=0, verbose_name='mails sent')),
                ('last_error', models.CharField(blank=True, max_length=64, verbose_name='last error')),
                ('disowned_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='disowned at')),
                ('claim_id', models.UUIDField(editable=False, null=True)),
                ('brand', models.CharField(blank=True, db_default='', default='', max_length=32, verbose_name='brand')),
                ('email', models.CharField(max_length=320, verbose_name='email')),
                ('forced_at', models.DateTimeField(blank=True, null=True, verbose_name='password ended at')),
                ('sessions_deleted', models.PositiveIntegerField(blank=True, null=True, verbose_name='sessions ended')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user')),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='resets', to='password_reset.passwordresetcampaign', verbose_name='campaign')),
            ],
            options={
                'verbose_name': 'forced reset',
                'verbose_name_plural': 'forced resets',
                'db_table': 'password_reset_forced_resets',
                'permissions': [('start_forcedpasswordreset', 'Can force users to choose a new password'), ('retry_forcedpasswordreset', 'Can retry emails of forced resets')],
                'indexes': [models.Index(condition=models.Q(('failed_at__isnull', True), ('processed_at__isnull', True)), fields=['next_attempt_at', 'id'], name='password_reset_forced_due'), models.Index(fields=['created_at'], name='password_reset_forced_age'), models.Index(fields=['email'], name='password_reset_forced_email', opclasses=['varchar_pattern_ops']), models.Index(condition=models.Q(('failed_at__isnull', False)), fields=['id'], name='password_reset_forced_failed'), models.Index(condition=models.Q(('forced_at__isnull', True)), fields=['campaign', 'id'], name='password_reset_forced_todo')],
                'constraints': [models.UniqueConstraint(fields=('campaign', 'user'), name='password_reset_forced_once')],
            },
        ),
        migrations.CreateModel(
            name='PasswordResetInvitation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('ip_address', models.GenericIPAddressField(blank=True, null=True, verbose_name='IP address')),
                ('user_agent', models.CharField(blank=True, max_length=512, verbose_name='user agent')),
                ('language', models.CharField(blank=True, max_length=35, verbose_name='language')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created at')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('next_attempt_at', models.DateTimeField(blank=True, null=True, verbose_name='next attempt at')),
                ('processed_at', models.DateTimeField(blank=True, null=True, verbose_name='processed at')),
                ('failed_at', models.DateTimeField(blank=True, null=True, verbose_name='given up at')),
                ('mails_sent', models.PositiveSmallIntegerField(default=0, verbose_name='mails sent')),
                ('last_error', models.CharField(blank=True, max_length=64, verbose_name='last error')),
                ('disowned_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='disowned at')),
                ('claim_id', models.UUIDField(editable=False, null=True)),
                ('brand', models.CharField(blank=True, db_default='', default='', max_length=32, verbose_name='brand')),
                ('email', models.CharField(max_length=320, verbose_name='email')),
                ('invited_by', models.CharField(blank=True, max_length=150, verbose_name='invited by')),
                ('asked_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='asked at')),
                ('accepted_at', models.DateTimeField(blank=True, null=True, verbose_name='accepted at')),
                ('voided_at', models.DateTimeField(blank=True, null=True, verbose_name='voided at')),
                ('campaign', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='invitations', to='password_reset.passwordresetcampaign', verbose_name='campaign')),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'invitation',
                'verbose_name_plural': 'invitations',
                'db_table': 'password_reset_invitations',
                'permissions': [('send_passwordresetinvitation', 'Can invite a user to set a password'), ('retry_passwordresetinvitation', 'Can retry invitations'), ('void_passwordresetinvitation', 'Can void invitations')],
                'indexes': [models.Index(condition=models.Q(('failed_at__isnull', True), ('processed_at__isnull', True)), fields=['next_attempt_at', 'id'], name='password_reset_invitations_due'), models.Index(fields=['asked_at'], name='password_reset_invitations_age'), models.Index(fields=['email'], name='password_reset_invitations_ema', opclasses=['varchar_pattern_ops']), models.Index(condition=models.Q(('failed_at__isnull', False)), fields=['id'], name='password_reset_invitations_fai')],
            },
        ),
    ]
