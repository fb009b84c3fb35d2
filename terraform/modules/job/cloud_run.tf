# For sites too small for Dataflow: the same program and image on one machine, for as long as a run takes.

resource "google_cloud_run_v2_job" "load" {
  count = local.has_image && !local.is_dataflow ? 1 : 0

  project  = var.project
  location = var.region
  name     = var.name
  labels   = var.labels

  # It holds nothing that the next apply would not make again.
  deletion_protection = false

  template {
    labels     = var.labels
    task_count = 1

    template {
      service_account = google_service_account.job.email
      max_retries     = 0 # the next tick is the retry
      timeout         = "${var.cloud_run.timeout_s}s"

      containers {
        image   = var.image
        command = ["pixelship"]
        args = concat(
          ["load"],
          local.logs,
          flatten([for option in sort(keys(local.options)) : ["--${option}", local.options[option]]]),
          flatten([for glob in var.allow : ["--allow", glob]]),
          ["--workers", tostring(ceil(var.cloud_run.cpu)), "--log", "json"],
        )

        resources {
          limits = {
            cpu    = tostring(var.cloud_run.cpu)
            memory = var.cloud_run.memory
          }
        }
      }
    }
  }

  depends_on = [google_secret_manager_secret_iam_member.keys]
}
