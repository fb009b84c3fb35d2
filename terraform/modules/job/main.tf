# The job: `pixelship load` at every tick of a schedule, as a Dataflow flex template or as a Cloud Run
# job, with what it needs and no more. Nothing that needs the image is made before `image` names one.

locals {
  is_dataflow = var.runner == "dataflow"
  has_image   = var.image != null
  identifier  = replace(var.name, "-", "_")

  state = "gs://${google_storage_bucket.state.name}/state"
  keys  = "sm://${google_secret_manager_secret.keys.id}/versions/${var.keys_version}"
  logs  = [for prefix in var.log_prefixes : "gs://${var.log_bucket}/${prefix}"]

  # What `pixelship load` is told: the names of its options, and of the flex template's parameters.
  options = merge(
    {
      to       = "bigquery:${var.project}"
      state    = local.state
      location = var.location
      keys     = local.keys
      dedupe   = var.dedupe
      settle   = tostring(var.settle_s)
      lease    = tostring(var.lease_s)
      format   = var.log_format
    },
    var.config == null ? {} : { config = "gs://${google_storage_bucket.job.name}/${google_storage_bucket_object.config[0].name}" },
  )
}

resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:images hold the program alone, which is public
  project       = var.project
  location      = var.region
  repository_id = var.name
  description   = "Images of Pixelship's job."
  format        = "DOCKER"
  labels        = var.labels

  docker_config {
    immutable_tags = true
  }
}

# The secret without its value: that would stand in Terraform's state. README says how to add it.
resource "google_secret_manager_secret" "keys" {
  project   = var.project
  secret_id = "${var.name}-keys"
  labels    = var.labels

  replication {
    auto {
      dynamic "customer_managed_encryption" {
        for_each = var.secret_kms_key_name[*]
        content {
          kms_key_name = customer_managed_encryption.value
        }
      }
    }
  }
}
