package util

// SetupOtelFeatureGates sets none: the components that have some are not built here.
func SetupOtelFeatureGates() error { return nil }
