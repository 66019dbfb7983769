"""Parts of Pulumi that are made here, as its CLI uses them."""

import signal
import subprocess

from toolchain import pulumi_cli


def test_the_language_host_ends_at_sigint_also_where_a_script_has_started_it_in_the_background() -> None:
    """A shell lets its background jobs ignore SIGINT. The CLI waits 5 s for a plugin that does."""
    host = pulumi_cli.ensure().binaries / pulumi_cli.LANGUAGE_HOST
    ignoring = ["sh", "-c", 'trap "" INT; exec "$0"', str(host)]
    with subprocess.Popen(ignoring, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().strip().isdigit(), "it tells no port"
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(timeout=4) == 0
        finally:
            process.kill()
