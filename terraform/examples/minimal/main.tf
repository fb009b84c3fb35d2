# The smallest useful call: the GIF in a bucket, the load balancer's log, one table, the job on Dataflow.
# The values are examples: yours go in their place. `terraform/README.md` says what to do, step by step.

provider "google" {
  project = "acme-pixels"
}

module "pixelship" {
  source = "../.."

  project  = "acme-pixels"
  region   = "europe-west1"
  location = "EU"
  domains  = ["px.example.com"]
  datasets = { news = ["pageviews"] }
}

output "pixelship" {
  description = "All that is needed next."
  value       = module.pixelship
}
