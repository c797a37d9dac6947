from django.db import migrations, models


class Migration(migrations.Migration):
    """A column whose constant default rewrites no table."""

    dependencies = [
        ('password_reset', '0006_second_factor'),
    ]

    operations = [
        migrations.AddField(
            model_name='passwordresetrequest',
            name='next_url',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=512),
        ),
    ]
