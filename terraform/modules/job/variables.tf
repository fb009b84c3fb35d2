variable "project" {
  description = "The project of the job, its buckets and its datasets."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "Give a project id, such as acme-analytics: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Where the job runs and its image is kept, such as europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "Give a region, such as europe-west1."
  }
}

variable "location" {
  description = "Where the datasets are, and so the state: EU, US, or a region."
  type        = string

  validation {
    condition     = can(regex("^(EU|US|[a-z]+-[a-z]+[0-9]+)$", var.location))
    error_message = "Give a location of BigQuery: EU, US, or a region such as europe-west1."
  }
}

variable "name" {
  description = "What everything made here is called, or begins with; it tells two installations of a project apart."
  type        = string
  default     = "pixelship"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,17}[a-z0-9]$", var.name))
    error_message = "Give 3 to 19 lower-case letters, digits and hyphens, a letter first."
  }
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

variable "log_bucket" {
  description = "The bucket that holds the logs; the job may read it."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", var.log_bucket))
    error_message = "Give the bucket's name, without gs://."
  }
}

variable "log_prefixes" {
  description = "Folders or globs within that bucket to load; the whole bucket by default."
  type        = list(string)
  default     = [""]

  validation {
    condition     = length(var.log_prefixes) > 0 && alltrue([for prefix in var.log_prefixes : !strcontains(prefix, ",") && !startswith(prefix, "gs://")])
    error_message = "Give at least one folder or glob, without gs:// and without commas."
  }
}

variable "log_format" {
  description = "The logs' format, as --format of pixelship load; auto tells it from the content."
  type        = string
  default     = "auto"

  validation {
    condition     = can(regex("^[a-z0-9]+(-[a-z0-9]+)*$", var.log_format))
    error_message = "Name a format that `pixelship formats` lists, or say auto."
  }
}

variable "datasets" {
  description = "The datasets that the job may append to: those for views, and the bookkeeping."
  type        = list(string)

  validation {
    condition     = length(var.datasets) > 0 && alltrue([for dataset in var.datasets : can(regex("^[A-Za-z][A-Za-z0-9_]{0,127}$", dataset))])
    error_message = "Give ids of datasets, without a project; at least one."
  }
}

variable "allow" {
  description = "Globs of the destinations that may be loaded, such as news.*; all by default."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for glob in var.allow : can(regex("^[A-Za-z0-9_.*?\\[\\]!-]+$", glob))])
    error_message = "Give globs of DATASET.TABLE, such as news.*."
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

variable "keys_version" {
  description = "The version of the key ring's secret: latest, or a number."
  type        = string
  default     = "latest"

  validation {
    condition     = can(regex("^(latest|[1-9][0-9]*)$", var.keys_version))
    error_message = "Say latest, or a version's number."
  }
}

variable "dedupe" {
  description = "What is done about views that a later batch brings again, as --dedupe of pixelship load: view, merge or off."
  type        = string
  default     = "view"

  validation {
    condition     = contains(["view", "merge", "off"], var.dedupe)
    error_message = "Say view, merge or off."
  }
}

variable "settle_s" {
  description = "Logs written in the last so many seconds are left for the next run."
  type        = number
  default     = 0

  validation {
    condition     = var.settle_s >= 0 && floor(var.settle_s) == var.settle_s
    error_message = "Give whole seconds, 0 or more."
  }
}

variable "lease_s" {
  description = "For how many seconds a run may keep others from beginning, should it die without a word: longer than runs last."
  type        = number
  default     = 3600

  validation {
    condition     = var.lease_s >= 60 && var.lease_s <= 86400 && floor(var.lease_s) == var.lease_s
    error_message = "Give whole seconds, from 60 to 86400."
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

variable "time_zone" {
  description = "The time zone of the schedule, by its name in the tz database."
  type        = string
  default     = "Etc/UTC"

  validation {
    condition     = can(regex("^[A-Z][A-Za-z_]*(/[A-Za-z0-9_+-]+){0,2}$", var.time_zone))
    error_message = "Give a time zone's name, such as Etc/UTC or Europe/Berlin."
  }
}

variable "paused" {
  description = "Whether the schedule rests."
  type        = bool
  default     = false
}

variable "scheduler_region" {
  description = "Where Cloud Scheduler works, should it not be offered in the job's region; null for that region."
  type        = string
  default     = null

  validation {
    condition     = var.scheduler_region == null ? true : can(regex("^[a-z]+-[a-z]+[0-9]+$", var.scheduler_region))
    error_message = "Give a region, such as europe-west1."
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

variable "temporary_days" {
  description = "Dataflow's temporary files are removed after so many days: later than any job lasts."
  type        = number
  default     = 7

  validation {
    condition     = var.temporary_days >= 2 && floor(var.temporary_days) == var.temporary_days
    error_message = "Give whole days, from 2 on."
  }
}

variable "storage_kms_key_name" {
  description = "A key of Cloud KMS for the buckets, in their location, which Cloud Storage's service agent may use; null for Google's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.storage_kms_key_name == null ? true : can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.storage_kms_key_name))
    error_message = "Name the key as projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

variable "secret_kms_key_name" {
  description = "A key of Cloud KMS, in the location global, for the key ring's secret, which Secret Manager's service agent may use; null for Google's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.secret_kms_key_name == null ? true : can(regex("^projects/[^/]+/locations/global/keyRings/[^/]+/cryptoKeys/[^/]+$", var.secret_kms_key_name))
    error_message = "Name the key as projects/P/locations/global/keyRings/R/cryptoKeys/K."
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
