# Kind "nginx": a small group of machines, each with nginx from nginx/ and the shipper from ship/. Logs
# that were not shipped are on a disk that outlives its machine, and come back with it.

locals {
  is_nginx       = var.kind == "nginx"
  machines       = local.is_nginx ? 1 : 0
  balancer_range = ["130.211.0.0/22", "35.191.0.0/16"] # load balancers and health checks, as Google documents them
  health_port    = 8080

  repository = "${path.module}/../../.."
  nginx_edited = {
    "pixelship.conf" = replace(
      replace(
        file("${local.repository}/nginx/pixelship.conf"),
        "server_name px.example.com;", "server_name ${join(" ", var.domains)};"
      ),
      "# include pixelship/real-ip.conf;", "include pixelship/real-ip.conf;"
    )
    "real-ip.conf" = replace(
      replace(
        file("${local.repository}/nginx/real-ip.conf"),
        "set_real_ip_from 192.0.2.0/24;", join("\n", [for each in local.balancer_range : "set_real_ip_from ${each};"])
      ),
      "set_real_ip_from 2001:db8::/32;", "include pixelship/balancer.conf;"
    )
  }
  nginx_files = merge(
    { for each in fileset("${local.repository}/nginx", "*.{conf,gif}") : each => filebase64("${local.repository}/nginx/${each}") },
    { for name, text in local.nginx_edited : name => base64encode(text) }
  )
  unit_files = { for each in fileset("${local.repository}/ship", "*.{service,timer}") : each => filebase64("${local.repository}/ship/${each}") }
}

# Who the machines are, and the two things that they may do: create logs, and read back what they created.

resource "google_service_account" "edge" {
  count = local.machines

  project      = var.project
  account_id   = "${var.name}-edge"
  display_name = "Pixelship's nginx"
}

resource "google_storage_bucket_iam_member" "edge" {
  for_each = local.is_nginx ? toset(["roles/storage.objectCreator", "roles/storage.legacyObjectReader"]) : []

  bucket = var.log_bucket
  role   = each.key
  member = "serviceAccount:${google_service_account.edge[0].email}"
}

# A network of their own, into which the load balancer alone may come. The way out is for packages.

resource "google_compute_network" "edge" {
  count = local.machines

  project                 = var.project
  name                    = "${var.name}-edge"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "edge" {
  # checkov:skip=CKV_GCP_76: there is no IPv6 in this network; the load balancer speaks it for the machines
  count = local.machines

  project                  = var.project
  region                   = var.region
  name                     = "${var.name}-edge"
  network                  = google_compute_network.edge[0].id
  ip_cidr_range            = var.machines.range
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "EXCLUDE_ALL_METADATA"
  }
}

resource "google_compute_router" "edge" {
  count = local.machines

  project = var.project
  region  = var.region
  name    = "${var.name}-edge"
  network = google_compute_network.edge[0].id
}

resource "google_compute_router_nat" "edge" {
  count = local.machines

  project                            = var.project
  region                             = var.region
  name                               = "${var.name}-edge"
  router                             = google_compute_router.edge[0].name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

resource "google_compute_firewall" "balancer" {
  # checkov:skip=CKV_GCP_106: only the load balancer and its health checks come to port 80, from Google's own ranges
  count = local.machines

  project                 = var.project
  name                    = "${var.name}-edge-balancer"
  network                 = google_compute_network.edge[0].id
  description             = "The load balancer and its health checks."
  source_ranges           = local.balancer_range
  target_service_accounts = [google_service_account.edge[0].email]

  allow {
    protocol = "tcp"
    ports    = ["80", tostring(local.health_port)]
  }
}

# The machines.

resource "google_compute_instance_template" "edge" {
  count = local.machines

  project      = var.project
  region       = var.region
  name_prefix  = "${var.name}-edge-"
  machine_type = var.machines.type

  disk {
    boot         = true
    auto_delete  = true
    source_image = "projects/debian-cloud/global/images/family/debian-12"
    disk_type    = "pd-balanced"
    disk_size_gb = 20
  }

  disk {
    device_name  = "logs" # startup.sh.tftpl mounts it
    disk_type    = "pd-balanced"
    disk_size_gb = 30
  }

  network_interface {
    subnetwork = google_compute_subnetwork.edge[0].id
  }

  service_account {
    email  = google_service_account.edge[0].email
    scopes = ["https://www.googleapis.com/auth/devstorage.read_write"]
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  metadata = {
    block-project-ssh-keys = "true"
    enable-oslogin         = "TRUE"
    serial-port-enable     = "FALSE"
    pixel-address          = google_compute_global_address.pixel.address
    shutdown-script        = file("${path.module}/shutdown.sh")
  }

  metadata_startup_script = templatefile("${path.module}/startup.sh.tftpl", {
    health_port = local.health_port
    log_bucket  = var.log_bucket
    nginx_files = local.nginx_files
    package     = var.machines.package
    unit_files  = local.unit_files
  })

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_health_check" "edge" {
  count = local.machines

  project             = var.project
  name                = "${var.name}-edge"
  check_interval_sec  = 10
  timeout_sec         = 5
  healthy_threshold   = 2
  unhealthy_threshold = 3

  http_health_check {
    port = local.health_port
  }

  log_config {
    enable = true
  }
}

# A machine that is made anew keeps its name and its logs. So two must not exist at once, and a new
# template is taken on machine by machine, when you say so: see terraform/README.md.
resource "google_compute_region_instance_group_manager" "edge" {
  count = local.machines

  project            = var.project
  region             = var.region
  name               = "${var.name}-edge"
  base_instance_name = "${var.name}-edge"
  target_size        = var.machines.count

  version {
    instance_template = google_compute_instance_template.edge[0].self_link_unique
  }

  named_port {
    name = "http"
    port = 80
  }

  auto_healing_policies {
    health_check      = google_compute_health_check.edge[0].id
    initial_delay_sec = 600 # packages are installed at the first start
  }

  stateful_disk {
    device_name = "logs"
    delete_rule = "ON_PERMANENT_INSTANCE_DELETION"
  }

  update_policy {
    type                         = "OPPORTUNISTIC"
    minimal_action               = "REPLACE"
    replacement_method           = "RECREATE"
    instance_redistribution_type = "NONE"
    max_surge_fixed              = 0
    max_unavailable_fixed        = 3 # of a regional group, no less than its zones
  }
}

resource "google_compute_backend_service" "edge" {
  count = local.machines

  project                         = var.project
  name                            = "${var.name}-edge"
  load_balancing_scheme           = "EXTERNAL_MANAGED"
  protocol                        = "HTTP"
  port_name                       = "http"
  timeout_sec                     = 10
  connection_draining_timeout_sec = 30
  health_checks                   = [google_compute_health_check.edge[0].id]

  backend {
    group           = google_compute_region_instance_group_manager.edge[0].instance_group
    balancing_mode  = "UTILIZATION"
    max_utilization = 0.8
  }

  custom_response_headers = ["Strict-Transport-Security: max-age=31536000"]

  log_config {
    enable      = var.balancer_log_sample_rate > 0
    sample_rate = var.balancer_log_sample_rate
  }
}
