"""Composition: settings, wiring, command line, HTTP API, keys and local services."""
