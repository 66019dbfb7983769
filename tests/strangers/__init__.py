"""Frameworks of other people, unmodified, and small programs on them as their READMEs show: what the golden signals are
proven with (docs/instrumentation/sources.md). None of them was written to please this project."""
