// Package pyroscope has only the type by which the controller knows the
// components for profiles: none of them is built here.
package pyroscope

// Appendable takes profiles.
type Appendable interface{ takesProfiles() }
