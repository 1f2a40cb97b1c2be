"""Campaigns, decisions and their delivery. Knows no HTTP and no settings."""
