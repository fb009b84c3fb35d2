output "state" {
  description = "The state folder, for --state."
  value       = local.state
}

output "staging_bucket" {
  description = "The bucket of the template, the configuration and Dataflow's temporary files; rows are staged within the state folder."
  value       = google_storage_bucket.job.name
}

output "service_account_email" {
  description = "The account that the job runs as."
  value       = google_service_account.job.email
}

output "keys" {
  description = "The reference to the key ring, for --keys."
  value       = local.keys
}

output "add_keys_command" {
  description = "Stores a key ring of this machine as the secret's next version."
  value       = "gcloud secrets versions add ${google_secret_manager_secret.keys.secret_id} --project=${var.project} --data-file=pixelship-keys.json"
}

output "repository" {
  description = "Where the image is pushed to, as REPOSITORY/pixelship:VERSION."
  value       = "${google_artifact_registry_repository.images.location}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "launch_command" {
  description = "Launches the job at once, as a tick of the schedule does; null as long as there is no image."
  value       = one([for tick in google_cloud_scheduler_job.tick : "gcloud scheduler jobs run ${tick.name} --location=${tick.region} --project=${var.project}"])
}
