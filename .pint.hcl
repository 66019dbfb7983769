# What pint must find in every rule, beside its own checks, and what it may not complain of. Run by `make rules`, offline.

rule {
  match {
    kind = "alerting"
  }
  label "severity" {
    severity = "bug"
    value    = "(critical|warning|info|none)"
    required = true
  }
  annotation "summary" {
    severity = "bug"
    required = true
  }
  annotation "description" {
    severity = "bug"
    required = true
  }
  annotation "runbook_url" {
    severity = "bug"
    value    = "https://.+[.]md"
    required = true
  }
}

# Firing always is what the dead man's switch is for.
rule {
  match {
    name = "Watchdog"
  }
  disable = ["alerts/comparison"]
}

# Response times are evaluated less often than what counts requests, so they are a group of their own.
rule {
  match {
    name = "service(_le)?:request_duration_seconds.+"
  }
  disable = ["rule/dependency"]
}

# SLOs look at hours to weeks, less often the further back. Each of their rules gives one series for each SLO, joined by `or`.
rule {
  match {
    name = "slo:.+"
  }
  disable = ["rule/dependency", "promql/impossible"]
}
