# The log bucket, and what brings the load balancer's log into it.

locals {
  has_sink = var.url_map_name != null
  requests = "resource.type=\"http_load_balancer\" AND resource.labels.url_map_name=\"${coalesce(var.url_map_name, "-")}\""
}

# Logs hold addresses, so they must be gone when they are deleted: no versions are kept. Nobody who
# writes here may overwrite or delete, and soft deletion gives a week to undo what a person did.
resource "google_storage_bucket" "logs" {
  # checkov:skip=CKV_GCP_78: writers can only create, and a version would outlive the retention of addresses
  # checkov:skip=CKV_GCP_62: a log of the access to logs is Cloud Audit's, which sees more than usage logs do
  project                     = var.project
  name                        = "${var.project}-${var.name}-logs"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  soft_delete_policy {
    retention_duration_seconds = 7 * 24 * 3600
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = var.retention_days
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

  dynamic "lifecycle_rule" {
    for_each = var.nearline_after_days > 0 ? [var.nearline_after_days] : []
    content {
      action {
        type          = "SetStorageClass"
        storage_class = "NEARLINE"
      }
      condition {
        age = lifecycle_rule.value
      }
    }
  }
}

resource "google_logging_project_sink" "requests" {
  # checkov:skip=CKV2_GCP_4: a locked retention would forbid to erase a person's views before it ends
  count = local.has_sink ? 1 : 0

  project                = var.project
  name                   = "${var.name}-requests"
  description            = "The pixel's requests, for pixelship load."
  destination            = "storage.googleapis.com/${google_storage_bucket.logs.name}"
  filter                 = local.requests
  unique_writer_identity = true
}

resource "google_storage_bucket_iam_member" "sink" {
  count = local.has_sink ? 1 : 0

  bucket = google_storage_bucket.logs.name
  role   = "roles/storage.objectCreator"
  member = google_logging_project_sink.requests[0].writer_identity
}

# An exclusion concerns the sink _Default alone: the sink above still gets every request.
resource "google_logging_project_exclusion" "requests" {
  count = local.has_sink && !var.keep_in_cloud_logging ? 1 : 0

  project     = var.project
  name        = "${var.name}-requests"
  description = "The pixel's requests are in the bucket ${google_storage_bucket.logs.name}; keeping them here too would be billed."
  filter      = local.requests
}
