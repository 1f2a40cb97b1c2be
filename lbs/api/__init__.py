"""One module a resource: routes with their request and response models."""
