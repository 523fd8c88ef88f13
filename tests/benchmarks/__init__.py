"""Benchmarks: what an operation costs as a cluster grows. Run by `make bench`, never by a test."""
