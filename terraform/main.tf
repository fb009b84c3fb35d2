module "logs" {
  source = "./modules/logs"

  project        = var.project
  location       = var.location
  name           = var.name
  retention_days = var.log_retention_days
}
