output "ip_address" {
  description = "The address that the host names must have as their A record."
  value       = google_compute_global_address.pixel.address
}

output "url_map_name" {
  description = "The name of the load balancer's URL map, by which its log is told from others."
  value       = google_compute_url_map.pixel.name
}

output "pixel_url" {
  description = "The pixel's URL, without a query."
  value       = "https://${var.domains[0]}/pixel.gif"
}

output "service_account_email" {
  description = "The service account of the machines with nginx; null for a bucket."
  value       = one(google_service_account.edge[*].email)
}

output "instance_group" {
  description = "The managed instance group of the machines with nginx; null for a bucket."
  value       = one(google_compute_region_instance_group_manager.edge[*].name)
}
