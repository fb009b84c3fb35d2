output "bucket" {
  description = "The name of the log bucket."
  value       = google_storage_bucket.logs.name
}

output "sink_writer" {
  description = "Who writes the load balancer's log into the bucket (an IAM member); null without a sink."
  value       = one(google_logging_project_sink.requests[*].writer_identity)
}
