"""Where each service listens inside the stack's network: its own default port, so that its docs apply."""

METRICS = {
    "prometheus": 9090,
    "alertmanager": 9093,
    "node_exporter": 9100,
    "cadvisor": 8080,
    "socket_proxy": 8404,
    "postgres_exporter": 9187,
    "redis_exporter": 9121,
    "nginx_exporter": 9113,
    "blackbox_exporter": 9115,
    "mongodb_exporter": 9216,
    "elasticsearch_exporter": 9114,
}
"""Service → the port that serves its metrics, and its API where it has one."""

DOCKER_API = 2375
"""Of the socket proxy."""
