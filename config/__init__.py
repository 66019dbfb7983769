"""From what the user says to every byte that reaches the host: settings, and one module per service. No Pulumi here."""
