output "dataset_ids" {
  description = "The datasets for views, without the bookkeeping."
  value       = [for dataset in sort(keys(var.datasets)) : google_bigquery_dataset.this[dataset].dataset_id]
}

output "bookkeeping_dataset_id" {
  description = "The dataset of the bookkeeping: pixelship."
  value       = google_bigquery_dataset.this[local.bookkeeping].dataset_id
}
