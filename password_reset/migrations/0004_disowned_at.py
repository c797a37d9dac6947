from django.db import migrations, models


class Migration(migrations.Migration):
    """Nullable columns without a default: no table is rewritten or locked for long."""

    dependencies = [("password_reset", "0003_explained_at")]

    operations = [
        migrations.AddField(
            model_name=name,
            name="disowned_at",
            field=models.DateTimeField(
                blank=True, editable=False, null=True, verbose_name="disowned at"
            ),
        )
        for name in ("passwordresetrequest", "passwordresetnotice")
    ]
