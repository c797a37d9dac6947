from django.db import migrations, models


class Migration(migrations.Migration):
    """Nullable columns without a default: no table is rewritten or locked for long."""

    dependencies = [("password_reset", "0002_claim_id")]

    operations = [
        migrations.AddField(
            model_name="passwordresetrequest",
            name="explained_at",
            field=models.DateTimeField(
                blank=True, null=True, verbose_name="explained at"
            ),
        )
    ]
