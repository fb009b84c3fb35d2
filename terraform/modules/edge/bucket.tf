# Kind "bucket": the GIF in Cloud Storage, with the headers that nginx would give (docs/edge.md).

resource "google_storage_bucket" "pixel" {
  # checkov:skip=CKV_GCP_62: the load balancer logs every request
  # checkov:skip=CKV_GCP_78: the one picture in it is part of this repository
  # checkov:skip=CKV_GCP_114: everyone may see the pixel, and nothing else is in this bucket
  count = local.is_bucket ? 1 : 0

  project                     = var.project
  name                        = "${var.project}-${var.name}-pixel"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "inherited"
}

resource "google_storage_bucket_object" "pixel" {
  for_each = local.is_bucket ? var.paths : []

  bucket              = google_storage_bucket.pixel[0].name
  name                = each.key
  source              = "${path.module}/../../../nginx/pixel.gif"
  content_type        = "image/gif"
  content_disposition = "inline"
  cache_control       = "no-store, no-cache, must-revalidate, private, max-age=0"
}

# This role shows objects and lists none.
resource "google_storage_bucket_iam_member" "everyone" {
  # checkov:skip=CKV_GCP_28: everyone may see the pixel, and nothing else is in this bucket
  count = local.is_bucket ? 1 : 0

  bucket = google_storage_bucket.pixel[0].name
  role   = "roles/storage.legacyObjectReader"
  member = "allUsers"
}

# Of a backend bucket each request is logged, always; there is no sample rate to set.
resource "google_compute_backend_bucket" "pixel" {
  count = local.is_bucket ? 1 : 0

  project     = var.project
  name        = "${var.name}-pixel"
  bucket_name = google_storage_bucket.pixel[0].name
  enable_cdn  = true

  cdn_policy {
    cache_mode = "USE_ORIGIN_HEADERS"
  }

  custom_response_headers = [
    "Access-Control-Allow-Origin: *",
    "Cross-Origin-Resource-Policy: cross-origin",
    "Timing-Allow-Origin: *",
    "X-Content-Type-Options: nosniff",
    "Strict-Transport-Security: max-age=31536000",
  ]
}
