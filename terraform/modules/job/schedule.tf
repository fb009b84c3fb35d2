# A tick launches the job, as the scheduler's account. A tick that fails is not tried again: the next
# one does all that it would have done. Two runs at once do no harm, and --lease keeps them from it.

locals {
  launch_uris = {
    dataflow  = "https://dataflow.googleapis.com/v1b3/projects/${var.project}/locations/${var.region}/flexTemplates:launch"
    cloud_run = "https://run.googleapis.com/v2/projects/${var.project}/locations/${var.region}/jobs/${var.name}:run"
  }
}

resource "google_cloud_scheduler_job" "tick" {
  count = local.has_image ? 1 : 0

  project          = var.project
  region           = coalesce(var.scheduler_region, var.region)
  name             = var.name
  description      = "Launches pixelship load."
  schedule         = var.schedule
  time_zone        = var.time_zone
  attempt_deadline = "180s"
  paused           = var.paused

  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = local.launch_uris[var.runner]
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode(local.is_dataflow ? jsonencode(local.launch) : "{}")

    oauth_token {
      service_account_email = google_service_account.scheduler.email
      scope                 = "https://www.googleapis.com/auth/cloud-platform"
    }
  }

  depends_on = [google_storage_bucket_object.template, google_cloud_run_v2_job.load]
}
