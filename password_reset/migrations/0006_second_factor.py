from django.db import migrations, models


class Migration(migrations.Migration):
    """Two columns, one nullable, one with a constant default: no table is rewritten."""

    dependencies = [("password_reset", "0005_codes")]

    operations = [
        migrations.AddField(
            model_name="passwordresettoken",
            name="second_factor_tries",
            field=models.PositiveIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name="passwordresettoken",
            name="second_factor_at",
            field=models.DateTimeField(
                blank=True, editable=False, null=True, verbose_name="second factor at"
            ),
        ),
    ]
