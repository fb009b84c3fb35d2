# One installation of Pixelship on Google Cloud: the pixel, its log, the tables, and the job that loads
# the one into the other. Whoever wants less, or more than these variables say, calls the modules.

locals {
  is_bucket = var.kind == "bucket"
  services = toset([
    "artifactregistry", "bigquery", "cloudscheduler", "compute", "iam", "logging", "monitoring", "secretmanager", "storage",
    var.runner == "dataflow" ? "dataflow" : "run",
  ])
  all_services = var.budget == null ? local.services : setunion(local.services, ["billingbudgets"])
  table        = try([for dataset, tables in var.datasets : "${dataset}.${sort(tables)[0]}" if length(tables) > 0][0], "DATASET.TABLE")
}

resource "google_project_service" "needed" {
  for_each = local.all_services

  project            = var.project
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

module "edge" {
  source = "./modules/edge"

  project       = var.project
  region        = var.region
  name          = var.name
  domains       = var.domains
  kind          = var.kind
  redirect_http = var.redirect_http
  machines      = var.machines
  log_bucket    = local.is_bucket ? null : module.logs.bucket

  depends_on = [google_project_service.needed]
}

module "logs" {
  source = "./modules/logs"

  project        = var.project
  location       = var.location
  name           = var.name
  url_map_name   = local.is_bucket ? module.edge.url_map_name : null
  retention_days = var.log_retention_days

  depends_on = [google_project_service.needed]
}

module "warehouse" {
  source = "./modules/warehouse"

  project               = var.project
  location              = var.location
  datasets              = var.datasets
  partition_expiry_days = var.partition_expiry_days
  deletion_protection   = var.deletion_protection
  labels                = var.labels

  depends_on = [google_project_service.needed]
}

module "job" {
  source = "./modules/job"

  project      = var.project
  region       = var.region
  location     = var.location
  name         = var.name
  runner       = var.runner
  image        = var.image
  schedule     = var.schedule
  dataflow     = var.dataflow
  subnetwork   = var.subnetwork
  cloud_run    = var.cloud_run
  config       = var.config
  log_bucket   = module.logs.bucket
  log_prefixes = [local.is_bucket ? "requests/" : "nginx/"]
  datasets     = concat(module.warehouse.dataset_ids, [module.warehouse.bookkeeping_dataset_id])
  alert_emails = var.alert_emails
  alerts       = var.alerts
  budget       = var.budget
  labels       = var.labels

  depends_on = [google_project_service.needed]
}
