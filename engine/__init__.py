"""Everything that talks to a Docker engine through its API, without Pulumi: the client, the judgement of an engine, and the two
programs that the deployment's Pulumi commands run."""
