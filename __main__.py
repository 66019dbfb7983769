"""The Pulumi program: reads the settings of one stack, and declares its resources on the engine."""

import gc
import os
import signal
from pathlib import Path
from typing import Any, get_args

import pulumi
import pulumi_docker as docker
from pulumi.runtime.config import get_config_env, get_config_secret_keys_env

from components.networks import networks
from components.stack import Correlation, LogStack, MetricsStack, TraceStack, annotation
from config import addition_files
from config.services import descriptions
from config.settings import loading
from config.settings.publish import Page
from config.settings.units import mib
from engine.docker_api import must_serve
from engine.other_engine import must_be_clear

# The language host interrupts the program on Ctrl-C and when a resource fails. A traceback would hide what the CLI
# says.
signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))

# The SDK makes thousands of objects that stay until the end, which comes in seconds. To look for garbage among them took a
# third of the program's own time, and freed no memory to speak of (133 MB with and without).
gc.disable()

stack_file = f"Pulumi.{pulumi.get_stack()}.yaml: {pulumi.get_project()}"
try:
    whose: dict[str, Any] = {
        "secret_keys": get_config_secret_keys_env(),
        "project": pulumi.get_project(),
        "stack": pulumi.get_stack(),
    }
    settings = loading.load(get_config_env(), **whose)
    loading.judge_secrets(get_config_env(), receivers=settings.notifications.receivers, **whose)
    additions = addition_files.read(settings, Path(), file=stack_file)
    must_be_clear(settings.docker, f"Pulumi.{pulumi.get_stack()}.yaml")
    # Without an engine, an update would fail resource by resource.
    if settings.docker.asked_at_previews or not pulumi.runtime.is_dry_run():
        must_serve(settings.docker.model_dump())
    if pulumi.runtime.is_dry_run():  # not again in the update that follows
        for notice in settings.notices:
            pulumi.warn(notice)
except loading.SettingsError as error:
    raise pulumi.RunError(str(error)) from None
except ConnectionError as error:
    raise pulumi.RunError(f"{stack_file}:docker.host: {error}") from None

engine = docker.Provider(
    "engine",
    host=settings.docker.provider_host,
    context="",  # else DOCKER_CONTEXT would overrule the host
    cert_path=settings.docker.certificates and str(Path(settings.docker.certificates).expanduser()),
    ssh_opts=settings.docker.ssh_options or None,
)
on_engine = pulumi.ResourceOptions(providers={"docker": engine})
config = pulumi.Config()
secrets = {key: config.require_secret(key) for key in sorted(settings.secrets)}

shared: dict[str, Any] = {"networks": networks(settings, engine), "secrets": secrets, "opts": on_engine}
stacks = (
    MetricsStack("metrics", descriptions.of_stack("metrics", settings, additions), settings, **shared),
    LogStack("logs", descriptions.of_stack("logs", settings, additions), settings, **shared),
    TraceStack("traces", descriptions.of_stack("traces", settings, additions), settings, **shared),
    Correlation("correlation", descriptions.of_stack("correlation", settings, additions), settings, **shared),
)
annotation(stacks, settings)

for page in get_args(Page):
    if page in settings.services:
        pulumi.export(page, settings.url(page))
pulumi.export("memory_ceiling_mib", mib(settings.memory.ceiling))  # the policy pack reads it
pulumi.export("disk_budget_mib", mib(settings.disk.budget))  # and this one
pulumi.export("data_volumes", [s.data.name for stack in stacks for s in stack.services.values() if s.data])
