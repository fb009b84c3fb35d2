output "pixel_url" {
  description = "The pixel's URL, without a query."
  value       = module.edge.pixel_url
}

output "ip_address" {
  description = "The load balancer's address."
  value       = module.edge.ip_address
}

output "dns_records" {
  description = "The records to set where the domains' DNS is; the certificate is made once they are seen."
  value       = [for domain in var.domains : "${domain}. 300 IN A ${module.edge.ip_address}"]
}

output "log_bucket" {
  description = "The name of the bucket with the pixel's logs."
  value       = module.logs.bucket
}

output "state" {
  description = "The state folder, for --state."
  value       = module.job.state
}

output "keys" {
  description = "The reference to the key ring, for --keys."
  value       = module.job.keys
}

output "add_keys_command" {
  description = "Stores a key ring of your machine as the secret's next version."
  value       = module.job.add_keys_command
}

output "repository" {
  description = "Where the job's image is pushed to."
  value       = module.job.repository
}

output "launch_command" {
  description = "Runs the job at once; null as long as there is no image."
  value       = module.job.launch_command
}

output "sign_command" {
  description = "Signs a first pixel, with a key ring of your machine."
  value       = "pixelship sign --base https://${var.domains[0]} --key story-1 --canonical https://example.org/a --to ${local.table} --html"
}

output "status_command" {
  description = "Says how far loading is, and what waits."
  value       = "pixelship status --to bigquery:${var.project} --state ${module.job.state}"
}

output "instance_group" {
  description = "The managed instance group of the machines with nginx; null for a bucket."
  value       = module.edge.instance_group
}
