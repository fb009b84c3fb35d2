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

variable "log_retention_days" {
  description = "Days after which a log is deleted; a log that is not loaded by then is lost."
  type        = number
  default     = 90

  validation {
    condition     = var.log_retention_days >= 7 && floor(var.log_retention_days) == var.log_retention_days
    error_message = "Logs are kept for 7 whole days at least: a broken job must have time to be mended."
  }
}
