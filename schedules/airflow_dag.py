"""Loads a pixel's logs every quarter of an hour, by a Dataflow job: a DAG for Airflow 3.

Copy it into the folder of DAGs, and write your own names into the constants below. It wants the package
apache-airflow-providers-google[apache.beam] and the connection `google_cloud_default`, whose account may launch
Dataflow jobs (`roles/dataflow.developer`) and act as SERVICE_ACCOUNT; and a connection `smtp_default`
for its alerts.

Any run may be retried, cleared or run beside others: each view counts once, whatever happens. A run
loads all that is there, so missed ones are not made up for. While it waits for Dataflow it takes no
worker of Airflow's.

https://airflow.apache.org/docs/apache-airflow-providers-google/stable/operators/cloud/dataflow.html
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.providers.google.cloud.operators.dataflow import DataflowStartFlexTemplateOperator
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG

PROJECT = "acme-analytics"
REGION = "europe-west1"
TEMPLATE = "gs://acme-pixelship/templates/pixelship-0.1.0.json"
IMAGE = "europe-west1-docker.pkg.dev/acme-analytics/pixelship/dataflow:0.1.0"
SERVICE_ACCOUNT = "pixelship@acme-analytics.iam.gserviceaccount.com"
FOLDER = "gs://acme-pixelship/dataflow"
PARAMETERS = {
    "logs": "gs://acme-logs/pixel/",
    "to": "bigquery:acme-analytics",
    "state": "gs://acme-pixelship/state",
    "location": "EU",
    "keys": "sm://projects/acme-analytics/secrets/pixelship-keys/versions/latest",
    "settle": "60",
    "lease": "3600",
}
"""The template's parameters: see dataflow/README.md."""
ALERTS_FROM, ALERTS_TO = "airflow@example.org", "data-team@example.org"

with DAG(
    dag_id="pixelship",
    description="Access logs of the pixel into BigQuery, each view once",
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
    },
    on_failure_callback=SmtpNotifier(
        from_email=ALERTS_FROM,
        to=ALERTS_TO,
        subject="Pixelship: {{ dag_run.run_id }} failed",
        html_content="The job's log says why. Run it again: that does no harm.",
    ),
    tags=["pixelship"],
):
    DataflowStartFlexTemplateOperator(
        task_id="load",
        project_id=PROJECT,
        location=REGION,
        body={
            "launchParameter": {
                "jobName": "pixelship",  # the operator appends what makes it unique
                "containerSpecGcsPath": TEMPLATE,
                "parameters": PARAMETERS,
                "environment": {
                    "sdkContainerImage": IMAGE,
                    "serviceAccountEmail": SERVICE_ACCOUNT,
                    "stagingLocation": f"{FOLDER}/staging",
                    "tempLocation": f"{FOLDER}/temp",
                    "machineType": "e2-standard-4",
                    "maxWorkers": 10,
                },
            }
        },
        append_job_name=True,
        deferrable=True,
        poll_sleep=30,
        execution_timeout=timedelta(hours=3),
    )
