# BigQuery's datasets and tables, as `pixelship load` would make them: a test holds both against each
# other. Views (TABLE_once, TABLE_by_key, pixelship.campaigns) are the program's: what they show
# depends on what was loaded, and it makes them anew when that changes.

locals {
  bookkeeping = "pixelship"

  # Columns, partitions and clusters: pipeline/warehouses/bigquery_tables.py has the same.
  kinds = {
    event = {
      description  = "Views of pixels, each once; written by Pixelship."
      partition_by = "timestamp"
      cluster_by   = ["key"]
    }
    rejects = {
      description  = "Log lines that did not become views, and why."
      partition_by = "timestamp"
      cluster_by   = ["reason", "source_object"]
    }
    bot_hits = {
      description  = "Verified views by machines, counted by hour."
      partition_by = "hour"
      cluster_by   = null
    }
    objects = {
      description  = "The ledger, by log object: what was loaded, and the fates of its lines."
      partition_by = null
      cluster_by   = ["name"]
    }
    batches = {
      description  = "The ledger, by batch."
      partition_by = "loaded_at"
      cluster_by   = null
    }
    sends = {
      description  = "E-mails that were sent with a pixel."
      partition_by = null
      cluster_by   = ["campaign_hash", "send_id"]
    }
  }
  schemas = {
    for kind in keys(local.kinds) :
    kind => jsondecode(file("${path.module}/../../../schemas/${kind}.json"))
  }

  views = merge([
    for dataset, tables in var.datasets : {
      for table in tables : "${dataset}.${table}" => { dataset = dataset, table = table, kind = "event" }
    }
  ]...)
  ledger = {
    for kind in setsubtract(keys(local.kinds), ["event"]) :
    "${local.bookkeeping}.${kind}" => { dataset = local.bookkeeping, table = kind, kind = kind }
  }
  tables = merge(local.views, local.ledger)

  expiry_days = { event = var.partition_expiry_days, rejects = var.rejects_expiry_days }
  day_ms      = 24 * 60 * 60 * 1000
}

resource "google_bigquery_dataset" "this" {
  #checkov:skip=CKV_GCP_81:a key of one's own is kms_key_name's choice; Google's encrypts otherwise
  for_each = setunion(keys(var.datasets), [local.bookkeeping])

  project     = var.project
  dataset_id  = each.value
  location    = var.location
  labels      = var.labels
  description = each.value == local.bookkeeping ? "Pixelship's bookkeeping." : "Views of pixels; its tables are written by Pixelship."

  delete_contents_on_destroy = !var.deletion_protection

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key_name[*]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}

resource "google_bigquery_table" "this" {
  #checkov:skip=CKV_GCP_80:a key of one's own is kms_key_name's choice; Google's encrypts otherwise
  #checkov:skip=CKV_GCP_121:deletion_protection is on unless the caller says otherwise
  for_each = local.tables

  project     = var.project
  dataset_id  = google_bigquery_dataset.this[each.value.dataset].dataset_id
  table_id    = each.value.table
  labels      = var.labels
  description = local.kinds[each.value.kind].description
  schema      = jsonencode(local.schemas[each.value.kind])
  clustering  = local.kinds[each.value.kind].cluster_by

  require_partition_filter = each.value.kind == "event" && var.require_partition_filter ? true : null
  deletion_protection      = var.deletion_protection

  dynamic "time_partitioning" {
    for_each = local.kinds[each.value.kind].partition_by[*]
    content {
      type          = each.value.kind == "event" ? upper(var.partition) : "DAY"
      field         = time_partitioning.value
      expiration_ms = try(local.expiry_days[each.value.kind] * local.day_ms, null)
    }
  }

  dynamic "encryption_configuration" {
    for_each = var.kms_key_name[*]
    content {
      kms_key_name = encryption_configuration.value
    }
  }

  lifecycle {
    # Columns that a later version of the program, or you, add are left alone.
    ignore_changes = [schema]
  }
}
