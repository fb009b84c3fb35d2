variable "project" {
  description = "The project that holds the datasets."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "Give a project id, such as acme-analytics: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "location" {
  description = "Where the datasets are, such as EU, US or europe-west1; the job's state must be there too."
  type        = string

  validation {
    condition     = can(regex("^(EU|US|[a-z]+-[a-z]+[0-9]+)$", var.location))
    error_message = "Give a location of BigQuery: EU, US, or a region such as europe-west1."
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

variable "partition" {
  description = "Partitions of the views' tables by the log's time: day or hour. As --partition of pixelship load."
  type        = string
  default     = "day"

  validation {
    condition     = contains(["day", "hour"], var.partition)
    error_message = "Say day or hour."
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

variable "require_partition_filter" {
  description = "Whether the views' tables refuse queries that name no time. As --require-partition-filter of pixelship load."
  type        = bool
  default     = false
}

variable "rejects_expiry_days" {
  description = "Rejected lines, which hold visitors' addresses, are dropped so many days after their log's time; null keeps them for ever. What was dropped cannot be replayed; lines whose time could not be read stay."
  type        = number
  default     = 90

  validation {
    condition     = var.rejects_expiry_days == null ? true : var.rejects_expiry_days >= 1 && floor(var.rejects_expiry_days) == var.rejects_expiry_days
    error_message = "Give whole days, from 1 on, or null."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to destroy tables, and datasets that hold any."
  type        = bool
  default     = true
}

variable "kms_key_name" {
  description = "A key of Cloud KMS for datasets and tables, projects/P/locations/L/keyRings/R/cryptoKeys/K, which BigQuery's service agent may use; null for Google's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_name == null ? true : can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key_name))
    error_message = "Name the key as projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

variable "labels" {
  description = "Labels of datasets and tables."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", name)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "Names and values of labels are lower-case letters, digits, _ and -, a letter first in names; 63 at most."
  }
}
