variable "project" {
  description = "The Google Cloud project that all of this is made in."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project is named by its id: 6 to 30 letters, digits and hyphens, a letter first."
  }
}

variable "region" {
  description = "Where the job runs, and the bucket with the GIF or the machines with nginx are, such as europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region is named like europe-west1."
  }
}

variable "location" {
  description = "Where logs, datasets and the state are: EU, US, or a region."
  type        = string

  validation {
    condition     = can(regex("^(EU|US|[a-z]+-[a-z]+[0-9]+)$", var.location))
    error_message = "Give a location: EU, US, or a region such as europe-west1."
  }
}

variable "name" {
  description = "What the names of all that is made begin with; it tells two installations of a project apart."
  type        = string
  default     = "pixelship"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,17}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 19 small letters, digits and hyphens, a letter first."
  }
}

variable "domains" {
  description = "The host names of the pixel; the first is the one that URLs are made with."
  type        = list(string)

  validation {
    condition     = length(var.domains) > 0 && length(var.domains) <= 15 && length(distinct(var.domains)) == length(var.domains)
    error_message = "Between 1 and 15 different host names are wanted: a load balancer takes no more certificates."
  }

  validation {
    condition     = alltrue([for each in var.domains : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", each))])
    error_message = "A host name is written like px.example.com: small letters, no scheme, no path, no wildcard."
  }
}

variable "kind" {
  description = "What answers: \"bucket\" (a GIF in Cloud Storage, without cookies) or \"nginx\" (machines with nginx, which set the cookie _pxid)."
  type        = string
  default     = "bucket"

  validation {
    condition     = contains(["bucket", "nginx"], var.kind)
    error_message = "The pixel is answered by a \"bucket\" or by \"nginx\"."
  }
}

variable "redirect_http" {
  description = "Whether http:// is redirected to https://; else it is answered, for mail that was sent long ago."
  type        = bool
  default     = true
}

variable "machines" {
  description = "Of nginx: how many machines, their type, the range of their addresses, and the pip requirement of the shipper."
  type = object({
    count   = optional(number, 2)
    type    = optional(string, "e2-small")
    range   = optional(string, "10.77.0.0/24")
    package = optional(string, "pixelship")
  })
  default = {}

  validation {
    condition     = var.machines.count >= 1 && floor(var.machines.count) == var.machines.count
    error_message = "There is one machine at least; two or more go on when a zone does not."
  }

  validation {
    condition     = can(cidrnetmask(var.machines.range))
    error_message = "The range of addresses is written like 10.77.0.0/24."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9._~@:/=<>!\\[\\]-]+$", var.machines.package))
    error_message = "The shipper is a pip requirement without spaces or quotes, such as pixelship or pixelship==1.2.0."
  }
}

variable "log_retention_days" {
  description = "Days after which a log is deleted; a log that is not loaded by then is lost."
  type        = number
  default     = 90

  validation {
    condition     = var.log_retention_days >= 7 && floor(var.log_retention_days) == var.log_retention_days
    error_message = "Logs are kept for 7 whole days at least: a broken job must have time to be mended."
  }
}

variable "datasets" {
  description = "The tables of each dataset that pixels may name (d=DATASET.TABLE). A dataset without tables is fine: the job makes tables as views for them come."
  type        = map(set(string))

  validation {
    condition = alltrue([
      for name in concat(keys(var.datasets), flatten([for tables in values(var.datasets) : tolist(tables)])) :
      can(regex("^[A-Za-z][A-Za-z0-9_]{0,127}$", name)) && !contains(["pixelship", "information_schema"], lower(name))
    ])
    error_message = "Datasets and tables are named with letters, digits and _, start with a letter, and are neither pixelship nor INFORMATION_SCHEMA."
  }

  validation {
    condition = length(distinct([for dataset in keys(var.datasets) : lower(dataset)])) == length(var.datasets) && alltrue([
      for tables in values(var.datasets) : length(distinct([for table in tables : lower(table)])) == length(tables)
    ])
    error_message = "Names that differ only in case are one place to some warehouses: rename one of them."
  }
}

variable "partition_expiry_days" {
  description = "Views are dropped so many days after they were seen; null keeps them for ever. As --partition-expiry of pixelship load."
  type        = number
  default     = null

  validation {
    condition     = var.partition_expiry_days == null ? true : var.partition_expiry_days >= 1 && floor(var.partition_expiry_days) == var.partition_expiry_days
    error_message = "Give whole days, from 1 on, or null."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to destroy tables, and datasets that hold any."
  type        = bool
  default     = true
}

variable "runner" {
  description = "dataflow, for any number of views; or cloud_run, one machine at a time, for sites too small for Dataflow."
  type        = string
  default     = "dataflow"

  validation {
    condition     = contains(["dataflow", "cloud_run"], var.runner)
    error_message = "Say dataflow or cloud_run."
  }
}

variable "image" {
  description = "The job's image, with a tag of its own or a digest (see dataflow/README.md). With null, the first time, there is a repository to push it to, and nothing that needs it."
  type        = string
  default     = null

  validation {
    condition     = var.image == null ? true : can(regex("^[a-z0-9.-]+(/[a-z0-9._-]+)+(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "Name the image as HOST/PROJECT/REPOSITORY/IMAGE with a :TAG other than latest or an @sha256:DIGEST, so that what runs is known."
  }
}

variable "schedule" {
  description = "When the job is launched, as in cron: minute, hour, day, month, weekday."
  type        = string
  default     = "*/15 * * * *"

  validation {
    condition     = can(regex("^[0-9*/,-]+( +[0-9A-Za-z*/,-]+){4}$", var.schedule))
    error_message = "Give the five fields of cron, such as */15 * * * *."
  }
}

variable "dataflow" {
  description = "Dataflow's machines. Batch jobs scale between one worker and max_workers and shuffle in the service, both by default. ARM is a machine_type such as t2a-standard-2, with an image for it; flexrs takes cheaper, preemptible machines within six hours, and so wants a daily schedule; without public_ips, a subnetwork of yours must have Private Google Access."
  type = object({
    machine_type          = optional(string, "e2-standard-2")
    launcher_machine_type = optional(string, "e2-medium")
    max_workers           = optional(number, 4)
    flexrs                = optional(bool, false)
    public_ips            = optional(bool, false)
    kms_key_name          = optional(string)
  })
  default = {}

  validation {
    condition     = alltrue([for type in [var.dataflow.machine_type, var.dataflow.launcher_machine_type] : can(regex("^[a-z][a-z0-9]*-[a-z0-9-]+$", type))])
    error_message = "Give machine types, such as e2-standard-2 or t2a-standard-2."
  }

  validation {
    condition     = var.dataflow.max_workers >= 1 && var.dataflow.max_workers <= 1000 && floor(var.dataflow.max_workers) == var.dataflow.max_workers
    error_message = "max_workers is a whole number from 1 to 1000."
  }
}

variable "subnetwork" {
  description = "Dataflow: the workers' subnetwork, as regions/REGION/subnetworks/NAME or a full URL; null for a network of their own, made here."
  type        = string
  default     = null

  validation {
    condition     = var.subnetwork == null ? true : can(regex("^(https://www\\.googleapis\\.com/compute/v1/projects/[^/]+/)?regions/[^/]+/subnetworks/[^/]+$", var.subnetwork))
    error_message = "Name it as regions/REGION/subnetworks/NAME, or by its full URL where it is in another project."
  }
}

variable "cloud_run" {
  description = "Cloud Run's machine: a worker process for each CPU, and how long a run may last."
  type = object({
    cpu       = optional(number, 2)
    memory    = optional(string, "4Gi")
    timeout_s = optional(number, 3600)
  })
  default = {}

  validation {
    condition     = contains([1, 2, 4, 6, 8], var.cloud_run.cpu) && can(regex("^[1-9][0-9]*(Mi|Gi)$", var.cloud_run.memory))
    error_message = "Cloud Run has 1, 2, 4, 6 or 8 CPUs, and memory such as 4Gi."
  }

  validation {
    condition     = var.cloud_run.timeout_s >= 60 && var.cloud_run.timeout_s <= 86400
    error_message = "timeout_s is from 60 seconds to a day."
  }
}

variable "config" {
  description = "The text of a pixelship.toml, as in file(\"pixelship.toml\"); null for none."
  type        = string
  default     = null

  validation {
    condition     = var.config == null ? true : trimspace(var.config) != ""
    error_message = "The configuration is empty: leave it out."
  }
}

variable "alert_emails" {
  description = "Who is written to when something is wrong; with none, alerts are shown in Cloud Monitoring alone."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@[:space:]]+@[^@[:space:]]+$", address))])
    error_message = "Give e-mail addresses."
  }
}

variable "alerts" {
  description = "When: the newest view is older than lag_s; rejected lines are more than reject_rate of all; no run has ended for window_s, over which the others are counted too: at least two ticks of the schedule."
  type = object({
    lag_s       = optional(number, 10800)
    reject_rate = optional(number, 0.1)
    window_s    = optional(number, 7200)
  })
  default = {}

  validation {
    condition     = var.alerts.lag_s > 0 && var.alerts.reject_rate > 0 && var.alerts.reject_rate <= 1
    error_message = "lag_s is above 0, reject_rate above 0 and at most 1."
  }

  validation {
    condition     = var.alerts.window_s >= 600 && var.alerts.window_s <= 90000
    error_message = "window_s is from 600 to 90000 seconds (25 hours), Cloud Monitoring's limit."
  }
}

variable "budget" {
  description = "Warns by e-mail at half, nine tenths and all of so much a month, in the billing account's currency, over the whole project; null for none. Who applies it needs billing.budgets.create on the account."
  type = object({
    billing_account = string
    units           = number
    currency_code   = optional(string)
  })
  default = null

  validation {
    condition     = var.budget == null ? true : can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account)) && var.budget.units >= 1
    error_message = "billing_account is as in 012345-6789AB-CDEF01, units at least 1."
  }
}

variable "labels" {
  description = "Labels of all that can have some."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", name)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "Names and values of labels are lower-case letters, digits, _ and -, a letter first in names; 63 at most."
  }
}
