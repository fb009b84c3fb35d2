# The batch log, and staged rows on their way into BigQuery. Nothing but the program may remove
# anything here, so there is no lifecycle. No versions: they would keep each staged row for ever, and
# what the program removes must be gone. Soft deletion lets people undo a mistake within a week.
resource "google_storage_bucket" "state" {
  #checkov:skip=CKV_GCP_62:the job alone works here; Cloud Audit Logs can record it
  #checkov:skip=CKV_GCP_78:see above: versions would keep what must be gone
  project       = var.project
  name          = "${var.project}-${var.name}-state"
  location      = var.location
  labels        = var.labels
  force_destroy = false

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  soft_delete_policy {
    retention_duration_seconds = 7 * 24 * 60 * 60
  }

  dynamic "encryption" {
    for_each = var.storage_kms_key_name[*]
    content {
      default_kms_key_name = encryption.value
    }
  }
}

# The template, the configuration, and Dataflow's own files, of which nothing is worth keeping.
resource "google_storage_bucket" "job" {
  #checkov:skip=CKV_GCP_62:it holds the job's own files; Cloud Audit Logs can record it
  #checkov:skip=CKV_GCP_78:all in it is made by Terraform or needless after a job
  project       = var.project
  name          = "${var.project}-${var.name}-job"
  location      = var.location
  labels        = var.labels
  force_destroy = true

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = var.temporary_days
      matches_prefix = ["staging/", "temp/"]
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
  }

  dynamic "encryption" {
    for_each = var.storage_kms_key_name[*]
    content {
      default_kms_key_name = encryption.value
    }
  }
}

resource "google_storage_bucket_object" "config" {
  count = var.config == null ? 0 : 1

  bucket       = google_storage_bucket.job.name
  name         = "config/pixelship.toml"
  content      = var.config
  content_type = "application/toml"
}
