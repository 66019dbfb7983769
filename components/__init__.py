"""Pulumi resources made from the descriptions of services. Nothing is rendered here: texts and flags come from
`config`."""
