variable "project" {
  description = "The Google Cloud project that all of this is made in."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project is named by its id: 6 to 30 letters, digits and hyphens, a letter first."
  }
}

variable "location" {
  description = "Where the log bucket is: a region or a multi-region, the same as the datasets'."
  type        = string

  validation {
    condition     = can(regex("^(EU|US|[a-z]+-[a-z]+[0-9]+)$", var.location))
    error_message = "A location is a region such as europe-west1, or one of the multi-regions EU and US."
  }
}

variable "name" {
  description = "What the names of all that is made begin with."
  type        = string
  default     = "pixelship"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,17}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 19 small letters, digits and hyphens, a letter first."
  }
}

variable "url_map_name" {
  description = "The URL map of the load balancer whose log is wanted; null where nginx ships its own log."
  type        = string
  default     = null

  validation {
    condition     = var.url_map_name == null || can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.url_map_name))
    error_message = "A URL map is given by its name, without project or path."
  }
}

variable "retention_days" {
  description = "Days after which a log is deleted; a log that is not loaded by then is lost."
  type        = number
  default     = 90

  validation {
    condition     = var.retention_days >= 7 && floor(var.retention_days) == var.retention_days
    error_message = "Logs are kept for 7 whole days at least: a broken job must have time to be mended."
  }
}

variable "nearline_after_days" {
  description = "Days after which a log moves to Nearline, which is cheaper to keep and dearer to read; 0 for never."
  type        = number
  default     = 0

  validation {
    condition     = var.nearline_after_days >= 0 && floor(var.nearline_after_days) == var.nearline_after_days
    error_message = "Days are counted in whole numbers from 0 on."
  }

  validation {
    condition     = var.nearline_after_days == 0 || var.nearline_after_days + 30 <= var.retention_days
    error_message = "Nearline bills 30 days at least: move logs there 30 days before they are deleted, or never (0)."
  }
}

variable "keep_in_cloud_logging" {
  description = "Whether the load balancer's log is kept in Cloud Logging too, which bills it by the GiB."
  type        = bool
  default     = false
}
