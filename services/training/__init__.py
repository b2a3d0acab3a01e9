"""Makes the artefacts that the router loads. The only place that imports training libraries; no service imports it."""
