# The load balancer: an address, a certificate, and one way to whatever answers (bucket.tf, nginx.tf).
# docs/edge.md says why the log is complete and what it cannot tell.

locals {
  is_bucket = var.kind == "bucket"
}

resource "google_compute_global_address" "pixel" {
  project = var.project
  name    = "${var.name}-pixel"
}

# A certificate for each host name: one that is added waits for its DNS record alone, and the others go on.
resource "google_compute_managed_ssl_certificate" "pixel" {
  for_each = toset(var.domains)

  project = var.project
  name    = "${var.name}-pixel-${substr(sha256(each.key), 0, 8)}"

  managed {
    domains = [each.key]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_ssl_policy" "pixel" {
  project         = var.project
  name            = "${var.name}-pixel"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_url_map" "pixel" {
  project         = var.project
  name            = "${var.name}-pixel"
  default_service = local.is_bucket ? google_compute_backend_bucket.pixel[0].id : google_compute_backend_service.edge[0].id
}

resource "google_compute_target_https_proxy" "pixel" {
  project          = var.project
  name             = "${var.name}-pixel"
  url_map          = google_compute_url_map.pixel.id
  ssl_certificates = [for each in var.domains : google_compute_managed_ssl_certificate.pixel[each].id]
  ssl_policy       = google_compute_ssl_policy.pixel.id
}

resource "google_compute_global_forwarding_rule" "https" {
  project               = var.project
  name                  = "${var.name}-pixel-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.pixel.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.pixel.id
}

# Redirects are of another URL map: they are no views, and are not in the log that is loaded.
resource "google_compute_url_map" "redirect" {
  count = var.redirect_http ? 1 : 0

  project = var.project
  name    = "${var.name}-redirect"

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "MOVED_PERMANENTLY_DEFAULT"
    strip_query            = false
  }
}

resource "google_compute_target_http_proxy" "pixel" {
  project = var.project
  name    = "${var.name}-pixel"
  url_map = var.redirect_http ? google_compute_url_map.redirect[0].id : google_compute_url_map.pixel.id
}

resource "google_compute_global_forwarding_rule" "http" {
  project               = var.project
  name                  = "${var.name}-pixel-http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.pixel.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.pixel.id
}
