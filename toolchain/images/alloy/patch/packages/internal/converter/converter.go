// Package converter has no converters here: configurations are written for Alloy.
package converter

import "github.com/grafana/alloy/internal/converter/diag"

// Input is what a configuration was written for.
type Input string

// SupportedFormats are the inputs that can be converted: none.
var SupportedFormats []string

// Convert refuses every input.
func Convert(_ []byte, kind Input, _ []string) ([]byte, diag.Diagnostics) {
	var refusal diag.Diagnostics
	refusal.Add(diag.SeverityLevelCritical, "this build converts nothing, asked for: "+string(kind))
	return nil, refusal
}
