locals {
  charts = [
    { title = "Age of the newest view, s", queries = { lag = "sum(increase(${local.promql.lag_seconds_sum}[$${__interval}])) / sum(increase(${local.promql.lag_seconds_count}[$${__interval}]))" } },
    { title = "Runs", queries = {
      ended         = "sum(increase(${local.promql.runs}[$${__interval}]))"
      failed        = "sum(increase(${local.promql.failed_runs}[$${__interval}]))"
      "left to one" = "sum(increase(${local.promql.leases_held}[$${__interval}]))"
    } },
    { title = "Lines", queries = {
      read     = "sum(increase(${local.promql.lines_sum}[$${__interval}]))"
      rejected = "sum(increase(${local.promql.rejected_lines_sum}[$${__interval}]))"
    } },
    { title = "Rejected lines by reason", queries = { "" = "sum by (reason) (increase(${local.promql.rejected_lines_sum}[$${__interval}]))" } },
    { title = "Rejected lines of all lines", queries = { rate = "sum(increase(${local.promql.rejected_lines_sum}[$${__interval}])) / sum(increase(${local.promql.lines_sum}[$${__interval}]))" } },
    { title = "What waits for a person", queries = {
      "parked destinations" = "sum(increase(${local.promql.parked}[$${__interval}]))"
      "quarantined objects" = "sum(increase(${local.promql.quarantined}[$${__interval}]))"
      "damaged objects"     = "sum(increase(${local.promql.damaged}[$${__interval}]))"
    } },
  ]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project
  dashboard_json = jsonencode({
    displayName = "Pixelship: ${var.name}"
    gridLayout = {
      columns = "2"
      widgets = [
        for chart in local.charts : {
          title = chart.title
          xyChart = {
            dataSets = [
              for legend, query in chart.queries : {
                plotType        = "LINE"
                legendTemplate  = legend
                timeSeriesQuery = { prometheusQuery = query }
              }
            ]
          }
        }
      ]
    }
  })
}
