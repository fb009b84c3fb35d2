variable "project" {
  description = "The Google Cloud project that all of this is made in."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project is named by its id: 6 to 30 letters, digits and hyphens, a letter first."
  }
}

variable "region" {
  description = "The region of the bucket with the GIF, or of the machines with nginx."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region is named like europe-west1."
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

variable "paths" {
  description = "Of a bucket: the names under which the GIF answers."
  type        = set(string)
  default     = ["pixel.gif", "i.gif", "r.gif", "track"]

  validation {
    condition     = contains(var.paths, "pixel.gif") && alltrue([for each in var.paths : can(regex("^[A-Za-z0-9._~-][A-Za-z0-9._~/-]*$", each))])
    error_message = "Names of the GIF begin with no slash, have nothing to be escaped in a URL, and pixel.gif is one of them."
  }
}

variable "log_bucket" {
  description = "Of nginx: the name of the bucket that logs are shipped into."
  type        = string
  default     = null

  validation {
    condition     = var.kind != "nginx" || var.log_bucket != null
    error_message = "nginx ships its log into a bucket: say which (log_bucket)."
  }
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

variable "balancer_log_sample_rate" {
  description = "Of nginx: the share of requests in the load balancer's own log, which is beside nginx's and is billed by Cloud Logging."
  type        = number
  default     = 1.0

  validation {
    condition     = var.balancer_log_sample_rate >= 0 && var.balancer_log_sample_rate <= 1
    error_message = "A share is between 0 and 1."
  }
}
