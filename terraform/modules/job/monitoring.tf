# Metrics from the job's structured logs (--log json), alerts on them, and a dashboard. On Cloud Run the
# keys of an event are fields of the log entry; in Dataflow an event is text, of the launcher
# (textPayload) or of a worker (jsonPayload.message).

locals {
  resource_type = local.is_dataflow ? "dataflow_job" : "cloud_run_job"
  log_source    = "resource.type=\"${local.is_dataflow ? "dataflow_step" : "cloud_run_job"}\" AND resource.labels.job_name=\"${var.name}\""

  is_event = {
    for event in distinct([for each in concat(values(local.counters), values(local.values)) : each.event]) : event => join(" ", [
      "${local.log_source} AND (jsonPayload.event=\"${event}\"",
      "OR jsonPayload.message=~\"\\\"event\\\": ?\\\"${event}\\\"\"",
      "OR textPayload=~\"\\\"event\\\": ?\\\"${event}\\\"\")",
    ])
  }

  counters = {
    runs        = { event = "run_done", description = "Runs that ended." }
    failed_runs = { event = "run_failed", description = "Runs that failed." }
    leases_held = { event = "lease_held", description = "Launches that left the work to a run under way." }
    parked      = { event = "parked", description = "Destinations whose rows wait, told by each run." }
    quarantined = { event = "quarantined", description = "Log objects that wait for a person, told by each run." }
    damaged     = { event = "object_damaged", description = "Damaged log objects." }
  }

  values = {
    lag_seconds = {
      event       = "run_done"
      key         = "lag_s"
      text        = "textPayload"
      unit        = "s"
      label       = null
      description = "The age of the newest view that is loaded, by run."
    }
    lines = {
      event       = "batch_done"
      key         = "lines"
      text        = "jsonPayload.message"
      unit        = "1"
      label       = null
      description = "Lines read, by batch."
    }
    rejected_lines = {
      event       = "rejected"
      key         = "lines"
      text        = "jsonPayload.message"
      unit        = "1"
      label       = "reason"
      description = "Rejected lines, by batch and reason."
    }
  }

  selector = "{monitored_resource=\"${local.resource_type}\"}"
  window   = "${var.alerts.window_s}s"
  promql = merge(
    { for name, metric in google_logging_metric.counter : name => "logging_googleapis_com:user_${metric.name}${local.selector}" },
    merge([
      for name, metric in google_logging_metric.value : {
        "${name}_sum"   = "logging_googleapis_com:user_${metric.name}_sum${local.selector}"
        "${name}_count" = "logging_googleapis_com:user_${metric.name}_count${local.selector}"
      }
    ]...),
  )
  failures = {
    dataflow  = "max(max_over_time(dataflow_googleapis_com:job_is_failed{monitored_resource=\"dataflow_job\",job_name=\"${var.name}\"}[600s])) > 0"
    cloud_run = "sum(increase(run_googleapis_com:job_completed_execution_count{monitored_resource=\"cloud_run_job\",job_name=\"${var.name}\",result=\"failed\"}[600s])) > 0"
  }

  alerts = {
    lag = {
      title      = "views are late"
      conditions = { "The newest view is older than ${var.alerts.lag_s} s" = "sum(increase(${local.promql.lag_seconds_sum}[${local.window}])) / sum(increase(${local.promql.lag_seconds_count}[${local.window}])) > ${var.alerts.lag_s}" }
      advice     = "Either nobody looks at the pixels, or logs do not come, or runs do not keep up. See whether the log bucket has new objects, and what the last runs say."
    }
    parked = {
      title      = "rows are parked"
      conditions = { "Rows wait for their table" = "sum(increase(${local.promql.parked}[${local.window}])) > 0" }
      advice     = "A table cannot take its rows; they are kept, and load by themselves once it is mended. `pixelship status` says which table and why."
    }
    quarantined = {
      title = "logs are quarantined or damaged"
      conditions = {
        "Objects are quarantined" = "sum(increase(${local.promql.quarantined}[${local.window}])) > 0"
        "Objects are damaged"     = "sum(increase(${local.promql.damaged}[${local.window}])) > 0"
      }
      advice = "An object was changed after it was loaded, is a copy of another, or is damaged. `pixelship status` names it; docs/operations.md says what to do."
    }
    reject_rate = {
      title      = "many lines are rejected"
      conditions = { "Rejected lines of all lines" = "sum(increase(${local.promql.rejected_lines_sum}[${local.window}])) / sum(increase(${local.promql.lines_sum}[${local.window}])) > ${var.alerts.reject_rate}" }
      advice     = "The dashboard shows the reasons, and pixelship.rejects the lines: a key that was retired too early, URLs that were broken on their way, or somebody's forgeries."
    }
    failed = {
      title = "a run failed"
      conditions = {
        "A run says that it failed" = "sum(increase(${local.promql.failed_runs}[600s])) > 0"
        "The job failed as a whole" = local.failures[var.runner]
      }
      advice = "The log says why, in one sentence. Runs that failed do no harm: the next goes on where they stopped. On Cloud Run an execution fails too when something is parked or quarantined."
    }
    no_run = {
      title      = "no run has ended"
      conditions = { "No run in ${var.alerts.window_s} s" = "absent_over_time(${local.promql.runs}[${local.window}])" }
      advice     = "See the job of Cloud Scheduler: is it paused, may it launch? Then the job's own log: a run that takes too long, or a lease that one left behind, which ends by itself."
    }
  }
}

resource "google_logging_metric" "counter" {
  for_each = local.counters

  project     = var.project
  name        = "${local.identifier}_${each.key}"
  description = each.value.description
  filter      = local.is_event[each.value.event]

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

resource "google_logging_metric" "value" {
  for_each = local.values

  project         = var.project
  name            = "${local.identifier}_${each.key}"
  description     = each.value.description
  filter          = local.is_event[each.value.event]
  value_extractor = local.is_dataflow ? "REGEXP_EXTRACT(${each.value.text}, \"\\\"${each.value.key}\\\": ?([0-9.]+)\")" : "EXTRACT(jsonPayload.${each.value.key})"
  label_extractors = {
    for label in each.value.label[*] :
    label => local.is_dataflow ? "REGEXP_EXTRACT(${each.value.text}, \"\\\"${label}\\\": ?\\\"([^\\\"]*)\\\"\")" : "EXTRACT(jsonPayload.${label})"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit

    dynamic "labels" {
      for_each = each.value.label[*]
      content {
        key        = labels.value
        value_type = "STRING"
      }
    }
  }

  bucket_options {
    exponential_buckets {
      num_finite_buckets = 32
      growth_factor      = 2
      scale              = 1
    }
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.alert_emails)

  project      = var.project
  display_name = "${var.name}: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.has_image ? local.alerts : {}

  project               = var.project
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]
  user_labels           = var.labels

  dynamic "conditions" {
    for_each = each.value.conditions
    content {
      display_name = conditions.key

      condition_prometheus_query_language {
        query               = conditions.value
        duration            = "0s"
        evaluation_interval = "60s"
        # A metric from logs is not known to Cloud Monitoring before its first entry.
        disable_metric_validation = true
      }
    }
  }

  documentation {
    content   = each.value.advice
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = "86400s"
  }
}

data "google_project" "billed" {
  count = var.budget == null ? 0 : 1

  project_id = var.project
}

resource "google_billing_budget" "this" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "${var.name} (${var.project})"

  budget_filter {
    projects = ["projects/${data.google_project.billed[0].number}"]
  }

  amount {
    specified_amount {
      units         = tostring(var.budget.units)
      currency_code = var.budget.currency_code
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  all_updates_rule {
    # A budget takes five channels at most.
    monitoring_notification_channels = slice([for address in sort(var.alert_emails) : google_monitoring_notification_channel.email[address].id], 0, min(5, length(var.alert_emails)))
    disable_default_iam_recipients   = false
  }
}
