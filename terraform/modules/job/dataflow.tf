# The flex template: what `gcloud dataflow flex-template build` writes, made here of the image and
# the parameters in dataflow/metadata.json.

locals {
  template_name = "template/pixelship.json"
  makes_network = local.is_dataflow && var.subnetwork == null
  subnetwork    = local.makes_network ? "regions/${var.region}/subnetworks/${google_compute_subnetwork.workers[0].name}" : var.subnetwork

  launch = {
    launchParameter = {
      jobName              = var.name
      containerSpecGcsPath = "gs://${google_storage_bucket.job.name}/${local.template_name}"
      parameters = merge(
        local.options,
        { logs = join(",", local.logs) },
        length(var.allow) == 0 ? {} : { allow = join(",", var.allow) },
      )
      environment = merge(
        {
          serviceAccountEmail  = google_service_account.job.email
          sdkContainerImage    = var.image
          machineType          = var.dataflow.machine_type
          launcherMachineType  = var.dataflow.launcher_machine_type
          maxWorkers           = var.dataflow.max_workers
          subnetwork           = local.subnetwork
          ipConfiguration      = var.dataflow.public_ips ? "WORKER_IP_PUBLIC" : "WORKER_IP_PRIVATE"
          stagingLocation      = "gs://${google_storage_bucket.job.name}/staging"
          tempLocation         = "gs://${google_storage_bucket.job.name}/temp"
          additionalUserLabels = var.labels
        },
        var.dataflow.flexrs ? { flexrsGoal = "FLEXRS_COST_OPTIMIZED" } : {},
        var.dataflow.kms_key_name == null ? {} : { kmsKeyName = var.dataflow.kms_key_name },
      )
    }
  }
}

resource "google_storage_bucket_object" "template" {
  count = local.has_image && local.is_dataflow ? 1 : 0

  bucket       = google_storage_bucket.job.name
  name         = local.template_name
  content_type = "application/json"
  content = jsonencode({
    image    = var.image
    sdkInfo  = { language = "PYTHON" }
    metadata = jsondecode(file("${path.module}/../../../dataflow/metadata.json"))
  })
}

# A network for the workers, where none is named: they reach Google's services, and nobody them.

resource "google_compute_network" "workers" {
  #checkov:skip=CKV2_GCP_18:its one rule is below; all else that comes in is refused by default
  count = local.makes_network ? 1 : 0

  project                 = var.project
  name                    = "${var.name}-job"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "workers" {
  #checkov:skip=CKV_GCP_26:workers speak to Google's services alone, whose own logs tell more
  #checkov:skip=CKV_GCP_76:the subnetwork has no IPv6
  count = local.makes_network ? 1 : 0

  project                  = var.project
  region                   = var.region
  name                     = "${var.name}-job"
  network                  = google_compute_network.workers[0].id
  ip_cidr_range            = "10.128.0.0/24"
  private_ip_google_access = true
}

# Dataflow marks its machines `dataflow`; they exchange data on these ports.
resource "google_compute_firewall" "workers" {
  count = local.makes_network ? 1 : 0

  project     = var.project
  name        = "${var.name}-job-workers"
  network     = google_compute_network.workers[0].id
  direction   = "INGRESS"
  source_tags = ["dataflow"]
  target_tags = ["dataflow"]

  allow {
    protocol = "tcp"
    ports    = ["12345-12346"]
  }
}
