"""What talks to a Docker engine through its API, without Pulumi: the client, what an engine is judged by, and the two
programs that the deployment's Pulumi commands run."""
