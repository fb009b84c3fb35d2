output "log_bucket" {
  description = "The name of the bucket with the pixel's access logs."
  value       = module.logs.bucket
}
