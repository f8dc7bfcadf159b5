import django.contrib.postgres.fields
import django.db.models.deletion
import portal.lib.clock
import portal.lib.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('job.succeeded', 'A job succeeded'), ('job.failed', 'A job failed, timed out, was lost, or somebody else cancelled it'), ('job.gpus_idle', 'The GPUs of a job do nothing'), ('sweep.finished', 'All points of a sweep have ended'), ('schedule.paused', 'Berth paused a schedule'), ('quota.asked', 'Somebody asks for GPUs that you may grant'), ('quota.decided', 'A request of yours for GPUs was decided, or asked back'), ('quota.delegated', 'Somebody lets you decide about GPUs for them, or no longer'), ('grant.ends', 'GPUs granted to you or your team end soon, or were revoked'), ('budget.reached', 'A budget that you look after reaches 50, 80 or 100 %'), ('week.over', 'What a team that you lead spent last week'), ('message', 'A lead or an administrator writes to you'), ('work.stopped', 'Somebody else stops what you run, or will'), ('webhook.test', 'A test of a webhook')], max_length=20)),
                ('subject', models.CharField(max_length=100)),
                ('text', models.CharField(max_length=500)),
                ('path', models.CharField(max_length=200)),
                ('facts', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField(db_index=True, default=portal.lib.clock.now)),
                ('read_at', models.DateTimeField(null=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notices', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [models.Index(fields=['user', '-id'], name='notice_of_user'), models.Index(condition=models.Q(('read_at', None)), fields=['user'], name='notice_unread')],
                'constraints': [models.UniqueConstraint(fields=('kind', 'subject', 'user'), name='notice_once')],
            },
        ),
        migrations.CreateModel(
            name='Webhook',
            fields=[
                ('key_id', models.CharField(max_length=40)),
                ('sealed', models.BinaryField()),
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('url', models.CharField(max_length=500)),
                ('kinds', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('job.succeeded', 'A job succeeded'), ('job.failed', 'A job failed, timed out, was lost, or somebody else cancelled it'), ('job.gpus_idle', 'The GPUs of a job do nothing'), ('sweep.finished', 'All points of a sweep have ended'), ('schedule.paused', 'Berth paused a schedule'), ('quota.asked', 'Somebody asks for GPUs that you may grant'), ('quota.decided', 'A request of yours for GPUs was decided, or asked back'), ('quota.delegated', 'Somebody lets you decide about GPUs for them, or no longer'), ('grant.ends', 'GPUs granted to you or your team end soon, or were revoked'), ('budget.reached', 'A budget that you look after reaches 50, 80 or 100 %'), ('week.over', 'What a team that you lead spent last week'), ('message', 'A lead or an administrator writes to you'), ('work.stopped', 'Somebody else stops what you run, or will'), ('webhook.test', 'A test of a webhook')], max_length=20), size=None)),
                ('enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='webhooks', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
                'constraints': [models.UniqueConstraint(fields=('user', 'url'), name='webhook_once')],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.CharField(choices=[('mail', 'Mail'), ('webhook', 'Webhook')], max_length=10)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('sent', 'Sent'), ('failed', 'Given up')], default='waiting', max_length=10)),
                ('daily', models.BooleanField(default=False)),
                ('next_at', models.DateTimeField(default=portal.lib.clock.now, null=True)),
                ('leased_until', models.DateTimeField(null=True)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('error', models.CharField(blank=True, default='', max_length=300)),
                ('ended_at', models.DateTimeField(null=True)),
                ('notice', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='notices.notice')),
                ('webhook', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='notices.webhook')),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [models.Index(condition=models.Q(('state', 'waiting')), fields=['next_at'], name='delivery_due'), models.Index(fields=['webhook', '-id'], name='delivery_of_webhook')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('channel', 'webhook'), ('webhook__isnull', False)), models.Q(('channel', 'mail'), ('webhook', None)), _connector='OR'), name='delivery_to_a_webhook_or_by_mail'), models.CheckConstraint(condition=models.Q(models.Q(('ended_at', None), ('next_at__isnull', False), ('state', 'waiting')), models.Q(models.Q(('state', 'waiting'), _negated=True), ('ended_at__isnull', False), ('leased_until', None), ('next_at', None)), _connector='OR'), name='delivery_waits_or_has_ended'), models.UniqueConstraint(fields=('notice', 'webhook'), name='delivery_once_per_webhook'), models.UniqueConstraint(condition=models.Q(('webhook', None)), fields=('notice',), name='delivery_once_by_mail')],
            },
        ),
        migrations.CreateModel(
            name='MailWish',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('job.succeeded', 'A job succeeded'), ('job.failed', 'A job failed, timed out, was lost, or somebody else cancelled it'), ('job.gpus_idle', 'The GPUs of a job do nothing'), ('sweep.finished', 'All points of a sweep have ended'), ('schedule.paused', 'Berth paused a schedule'), ('quota.asked', 'Somebody asks for GPUs that you may grant'), ('quota.decided', 'A request of yours for GPUs was decided, or asked back'), ('quota.delegated', 'Somebody lets you decide about GPUs for them, or no longer'), ('grant.ends', 'GPUs granted to you or your team end soon, or were revoked'), ('budget.reached', 'A budget that you look after reaches 50, 80 or 100 %'), ('week.over', 'What a team that you lead spent last week'), ('message', 'A lead or an administrator writes to you'), ('work.stopped', 'Somebody else stops what you run, or will'), ('webhook.test', 'A test of a webhook')], max_length=20)),
                ('daily', models.BooleanField(default=False)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='mail_wishes', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('user', 'kind'), name='mail_wish_once')],
            },
        ),
    ]
