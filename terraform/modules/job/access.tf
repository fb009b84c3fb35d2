# Who may do what. All that is granted stands in this file, and a test holds the plan against it.

resource "google_service_account" "job" {
  project      = var.project
  account_id   = "${var.name}-job"
  display_name = "Pixelship: loads logs"
}

resource "google_service_account" "scheduler" {
  project      = var.project
  account_id   = "${var.name}-scheduler"
  display_name = "Pixelship: launches the job"
}

# The job: appends to its datasets. BigQuery's own roles for that also delete tables.

resource "google_project_iam_custom_role" "tables" {
  project     = var.project
  role_id     = "${local.identifier}_tables"
  title       = "Pixelship: tables of a dataset"
  description = "Makes tables and views, adds columns and rows, reads them."
  permissions = [
    "bigquery.datasets.get",
    "bigquery.tables.create",
    "bigquery.tables.get",
    "bigquery.tables.getData",
    "bigquery.tables.update",
    "bigquery.tables.updateData",
  ]
}

resource "google_bigquery_dataset_iam_member" "job" {
  for_each = toset(var.datasets)

  project    = var.project
  dataset_id = each.value
  role       = google_project_iam_custom_role.tables.id
  member     = google_service_account.job.member
}

resource "google_project_iam_custom_role" "jobs" {
  project     = var.project
  role_id     = "${local.identifier}_jobs"
  title       = "Pixelship: BigQuery jobs"
  description = "Begins load jobs and queries, and sees its own."
  permissions = ["bigquery.jobs.create"]
}

resource "google_project_iam_member" "jobs" {
  project = var.project
  role    = google_project_iam_custom_role.jobs.id
  member  = google_service_account.job.member
}

# The job: reads logs, its configuration and its keys, and has its state.

resource "google_project_iam_custom_role" "objects" {
  project     = var.project
  role_id     = "${local.identifier}_objects"
  title       = "Pixelship: objects of a bucket"
  description = "Creates, reads, lists and removes objects; loads from them, for which BigQuery looks at the bucket."
  permissions = [
    "storage.buckets.get",
    "storage.objects.create",
    "storage.objects.delete",
    "storage.objects.get",
    "storage.objects.list",
  ]
}

resource "google_storage_bucket_iam_member" "state" {
  bucket = google_storage_bucket.state.name
  role   = google_project_iam_custom_role.objects.id
  member = google_service_account.job.member
}

resource "google_storage_bucket_iam_member" "logs" {
  bucket = var.log_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.job.member
}

resource "google_storage_bucket_iam_member" "job" {
  bucket = google_storage_bucket.job.name
  role   = local.is_dataflow ? google_project_iam_custom_role.objects.id : "roles/storage.objectViewer"
  member = google_service_account.job.member
}

resource "google_secret_manager_secret_iam_member" "keys" {
  project   = var.project
  secret_id = google_secret_manager_secret.keys.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.job.member
}

# Dataflow: what its workers and launcher are. Google's role for them, which a project's jobs cannot
# do without, also gets and creates objects in the project's buckets.

resource "google_project_iam_member" "worker" {
  count = local.is_dataflow ? 1 : 0

  project = var.project
  role    = "roles/dataflow.worker"
  member  = google_service_account.job.member
}

resource "google_artifact_registry_repository_iam_member" "worker" {
  count = local.is_dataflow ? 1 : 0

  project    = var.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.job.member
}

# The scheduler on Dataflow: launches a job that runs as the job's account, from this one template.

resource "google_project_iam_custom_role" "launch" {
  count = local.is_dataflow ? 1 : 0

  project     = var.project
  role_id     = "${local.identifier}_launch"
  title       = "Pixelship: launch"
  description = "Launches a Dataflow job and sees it."
  permissions = ["dataflow.jobs.create", "dataflow.jobs.get"]
}

resource "google_project_iam_member" "launch" {
  count = local.is_dataflow ? 1 : 0

  project = var.project
  role    = google_project_iam_custom_role.launch[0].id
  member  = google_service_account.scheduler.member
}

resource "google_service_account_iam_member" "launch" {
  count = local.is_dataflow ? 1 : 0

  service_account_id = google_service_account.job.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.scheduler.member
}

resource "google_storage_bucket_iam_member" "template" {
  count = local.is_dataflow ? 1 : 0

  bucket = google_storage_bucket.job.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.scheduler.member

  condition {
    title      = "the template alone"
    expression = "resource.name == 'projects/_/buckets/${google_storage_bucket.job.name}/objects/${local.template_name}'"
  }
}

# The scheduler on Cloud Run: runs this one job, as it is.

resource "google_cloud_run_v2_job_iam_member" "run" {
  count = local.has_image && !local.is_dataflow ? 1 : 0

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_job.load[0].name
  role     = "roles/run.invoker"
  member   = google_service_account.scheduler.member
}
