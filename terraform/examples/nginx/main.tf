# The other choices: machines with nginx, which set the cookie and ship their own log, and the job on
# Cloud Run, with an image, a configuration, alerts and a budget.

provider "google" {
  project = "acme-pixels"
}

module "pixelship" {
  source = "../.."

  project  = "acme-pixels"
  region   = "europe-west1"
  location = "europe-west1"
  domains  = ["px.example.com", "px.example.org"]
  datasets = {
    mail    = ["opens"]
    news    = ["pageviews"]
    podcast = ["plays"]
  }

  kind     = "nginx"
  machines = { count = 3, package = "pixelship==0.1.0" }

  runner   = "cloud_run"
  image    = "europe-west1-docker.pkg.dev/acme-pixels/pixelship/pixelship:0.1.0"
  schedule = "*/5 * * * *"
  config   = <<-TOML
    [email]
    destination = "mail.opens"
  TOML

  alert_emails = ["data@example.com"]
  budget       = { billing_account = "012345-6789AB-CDEF01", units = 200 }
}

output "pixelship" {
  description = "All that is needed next."
  value       = module.pixelship
}
