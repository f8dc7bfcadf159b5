import django.contrib.postgres.fields
import django.db.models.deletion
import environments.models
import portal.lib.clock
import portal.lib.ids
from django.conf import settings
from django.db import migrations, models


def of_known_kinds(apps, schema_editor):
    """Versions published before say what they are by their template's IDE."""
    kinds = {"jupyterlab": "jupyter", "vscode": "code-server", "rstudio": "rstudio"}
    versions = apps.get_model("environments", "TemplateVersion").objects
    for ide, kind in kinds.items():
        versions.filter(template__ide=ide).update(activity=kind)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_keys_secrets_shares'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('compute', '0002_idle_gpus_line'),
        ('environments', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Configuration',
            fields=[
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60)),
                ('launch', models.JSONField()),
                ('preferred', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('used_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='configurations', to=settings.AUTH_USER_MODEL)),
                ('template', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='configurations', to='environments.template')),
            ],
            options={
                'ordering': ['-used_at'],
                'constraints': [models.UniqueConstraint(fields=('owner', 'name'), name='configuration_name_once_per_owner'), models.UniqueConstraint(condition=models.Q(('preferred', True)), fields=('owner', 'template'), name='configuration_one_preferred')],
            },
        ),
        migrations.CreateModel(
            name='Dataset',
            fields=[
                ('name', models.SlugField(max_length=60, primary_key=True, serialize=False)),
                ('summary', models.CharField(max_length=300)),
                ('teams', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=50), size=None)),
                ('kept_by', models.CharField(blank=True, max_length=50)),
                ('retired', models.BooleanField(default=False)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='DatasetVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('fingerprint', models.CharField(max_length=64)),
                ('files', models.PositiveIntegerField()),
                ('bytes', models.BigIntegerField()),
                ('seen_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('still_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='environments.dataset')),
            ],
            options={
                'ordering': ['dataset_id', '-number'],
                'constraints': [models.UniqueConstraint(fields=('dataset', 'number'), name='dataset_number_once'), models.CheckConstraint(condition=models.Q(('number__gte', 1)), name='dataset_number_from_one'), models.CheckConstraint(condition=models.Q(('still_at__gte', models.F('seen_at'))), name='dataset_version_still_later')],
            },
        ),
        migrations.CreateModel(
            name='Handover',
            fields=[
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('offered_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('mailed', models.BooleanField(default=False)),
                ('answer', models.CharField(blank=True, choices=[('accepted', 'Accepted'), ('declined', 'Declined'), ('withdrawn', 'Withdrawn')], max_length=10)),
                ('answered_at', models.DateTimeField(null=True)),
                ('offered_by', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('to', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='handovers', to='environments.workspace')),
            ],
            options={
                'ordering': ['-offered_at'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('answered_at', None)), fields=('workspace',), name='handover_one_open'), models.CheckConstraint(condition=models.Q(models.Q(('answer', ''), ('answered_at', None)), models.Q(models.Q(('answer', ''), _negated=True), ('answered_at__isnull', False)), _connector='OR'), name='handover_answered_with_time')],
            },
        ),
        migrations.CreateModel(
            name='ImageCopy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.CharField(max_length=300)),
                ('digest', models.CharField(max_length=100)),
                ('size', models.BigIntegerField()),
                ('made_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('unwanted_at', models.DateTimeField(null=True)),
                ('kept_because', models.CharField(blank=True, max_length=300)),
                ('image', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='copies', to='environments.image')),
            ],
            options={
                'ordering': ['image', '-made_at'],
                'constraints': [models.UniqueConstraint(fields=('reference', 'digest'), name='image_copy_once')],
            },
        ),
        migrations.CreateModel(
            name='Schedule',
            fields=[
                ('workspace', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='schedule', serialize=False, to='environments.workspace')),
                ('days', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=3), size=None)),
                ('start', models.TimeField(null=True)),
                ('stop', models.TimeField(null=True)),
                ('zone', models.CharField(max_length=60)),
                ('handled_until', models.DateTimeField()),
                ('next_at', models.DateTimeField(db_index=True, null=True)),
                ('note', models.CharField(blank=True, default='', max_length=300)),
                ('noted_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Share',
            fields=[
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('right', models.CharField(choices=[('view', 'See it'), ('use', 'Use it')], max_length=10)),
                ('until', models.DateTimeField()),
                ('created_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('mailed', models.BooleanField(default=False)),
                ('revoked_at', models.DateTimeField(null=True)),
                ('allocation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='compute.allocation')),
                ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.team')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='shares', to='environments.workspace')),
            ],
            options={
                'ordering': ['-created_at'],
                'indexes': [models.Index(condition=models.Q(('revoked_at', None)), fields=['until'], name='share_not_over')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('team__isnull', False), ('user', None)), models.Q(('team', None), ('user__isnull', False)), _connector='OR'), name='share_with_person_or_team'), models.CheckConstraint(condition=models.Q(('right__in', ['view', 'use'])), name='share_right_known'), models.CheckConstraint(condition=models.Q(('until__gt', models.F('created_at'))), name='share_ends_later'), models.UniqueConstraint(condition=models.Q(('revoked_at', None)), fields=('workspace', 'user'), name='share_once_per_person'), models.UniqueConstraint(condition=models.Q(('revoked_at', None)), fields=('workspace', 'team'), name='share_once_per_team')],
            },
        ),
        migrations.CreateModel(
            name='Upload',
            fields=[
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('folder', models.TextField(blank=True)),
                ('name', models.CharField(max_length=255)),
                ('length', models.BigIntegerField()),
                ('replace', models.BooleanField(default=False)),
                ('touched_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='uploads', to=settings.AUTH_USER_MODEL)),
                ('volume', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='uploads', to='environments.volume')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('length__gte', 0)), name='upload_length_not_negative')],
            },
        ),
        migrations.RemoveConstraint(
            model_name='volume',
            name='volume_one_home',
        ),
        migrations.AddField(
            model_name='image',
            name='attempt',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='image',
            name='base',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='built_upon', to='environments.image'),
        ),
        migrations.AddField(
            model_name='image',
            name='failed_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='image',
            name='tag',
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.AddField(
            model_name='template',
            name='documentation',
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.AddField(
            model_name='template',
            name='idle',
            field=models.JSONField(default=None, null=True),
        ),
        migrations.AddField(
            model_name='template',
            name='link',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=80), default=environments.models.linkable, size=None),
        ),
        migrations.AddField(
            model_name='template',
            name='notes',
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name='templateversion',
            name='activity',
            field=models.CharField(choices=[('jupyter', 'Jupyter: its kernels and terminals'), ('code-server', 'code-server: its terminals and tasks'), ('rstudio', 'RStudio: its terminals'), ('web', 'Any web application')], default='web', max_length=20),
        ),
        migrations.AddField(
            model_name='templateversion',
            name='changes',
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name='templateversion',
            name='retired',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='volume',
            name='kind',
            field=models.CharField(choices=[('home', 'Home'), ('team', 'Team'), ('dataset', 'Dataset'), ('job', 'Job'), ('model', 'Model')], default='home', max_length=10),
        ),
        migrations.AddField(
            model_name='volume',
            name='made_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='volume',
            name='measured_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='volume',
            name='team',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='volumes', to='accounts.team'),
        ),
        migrations.AddField(
            model_name='volume',
            name='used',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='workspace',
            name='auto_stop_minutes',
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='workspace',
            name='counted',
            field=models.CharField(blank=True, choices=[('started', 'It was started'), ('known', 'Berth could see again what runs in it'), ('traffic', 'Somebody used it'), ('kernel', 'A kernel ran'), ('terminal', 'A command ran in a terminal'), ('cpu', 'Its CPU was busy'), ('gpu', 'Its GPU was busy')], default='', max_length=10),
        ),
        migrations.AddField(
            model_name='workspace',
            name='git_ref',
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name='workspace',
            name='git_url',
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name='workspace',
            name='idle_since',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='workspace',
            name='keep_until',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='workspace',
            name='places',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=100), default=list, size=None),
        ),
        migrations.AddField(
            model_name='workspace',
            name='secrets',
            field=models.ManyToManyField(related_name='workspaces', to='accounts.secret'),
        ),
        migrations.AddField(
            model_name='workspace',
            name='stops_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='workspace',
            name='warned_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='workspace',
            name='warning_mailed',
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name='image',
            name='reference',
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.AlterField(
            model_name='image',
            name='state',
            field=models.CharField(choices=[('queued', 'Waiting to be built'), ('building', 'Building'), ('ready', 'Ready'), ('failed', 'Failed'), ('removed', 'Not on the machine')], default='queued', max_length=10),
        ),
        migrations.AlterField(
            model_name='templateversion',
            name='door_header',
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AlterField(
            model_name='templateversion',
            name='health_path',
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AlterField(
            model_name='templateversion',
            name='port',
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name='volume',
            name='owner',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='volumes', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='volume',
            name='dataset',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='volumes', to='environments.dataset'),
        ),
        migrations.AddField(
            model_name='workspace',
            name='datasets',
            field=models.ManyToManyField(related_name='workspaces', to='environments.dataset'),
        ),
        migrations.AddIndex(
            model_name='workspace',
            index=models.Index(condition=models.Q(('stops_at__isnull', False)), fields=['stops_at'], name='workspace_idle_stop'),
        ),
        migrations.AddConstraint(
            model_name='volume',
            constraint=models.UniqueConstraint(condition=models.Q(('delete_requested_at', None), ('kind', 'home')), fields=('owner',), name='volume_one_home'),
        ),
        migrations.AddConstraint(
            model_name='volume',
            constraint=models.UniqueConstraint(condition=models.Q(('delete_requested_at', None)), fields=('team',), name='volume_one_per_team'),
        ),
        migrations.AddConstraint(
            model_name='volume',
            constraint=models.UniqueConstraint(condition=models.Q(('delete_requested_at', None)), fields=('dataset',), name='volume_one_per_dataset'),
        ),
        migrations.AddConstraint(
            model_name='volume',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('dataset', None), ('kind__in', ['home', 'job', 'model']), ('owner__isnull', False), ('team', None)), models.Q(('dataset', None), ('kind', 'team'), ('owner', None), ('team__isnull', False)), models.Q(('dataset__isnull', False), ('kind', 'dataset'), ('owner', None), ('team', None)), _connector='OR'), name='volume_belongs_to_one'),
        ),
        migrations.RunPython(of_known_kinds, migrations.RunPython.noop),
    ]
