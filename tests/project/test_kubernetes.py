"""The manifests follow Kubernetes' schemas, agree with each other, and say what the
Dockerfile, the compose file, the units and cron say.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from django.urls import resolve

from project.env import BY_NAME
from tests import ROOT
from tests.project.test_deploy import DEPLOY, OTHERS
from tests.project.test_env import COMPLETE

HERE = DEPLOY / "kubernetes"
FILES = sorted(p for p in HERE.rglob("*.yaml") if p.name != "kustomization.yaml")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
#: The oldest Kubernetes that still gets fixes in most clouds, and what has come since.
VERSIONS = ["1.31", "1.33", "1.35", "1.37"]
#: Kinds of the Prometheus operator, whose schemas do not come with Kubernetes.
FOREIGN = {"ServiceMonitor", "PrometheusRule"}

Manifest = dict[str, Any]


def read(file: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(file.read_text()))


ALL = [each for file in FILES for each in read(file)]
NATIVE = [each for each in ALL if each["kind"] not in FOREIGN]


def of(kind: str) -> list[Manifest]:
    return [each for each in ALL if each["kind"] == kind]


def one(kind: str, name: str) -> Manifest:
    (found,) = [each for each in of(kind) if each["metadata"]["name"] == name]
    return found


def name_of(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def pod_of(manifest: Manifest) -> Manifest:
    """Return the template of the pods that a manifest makes."""
    spec = manifest["spec"]
    return (spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec)["template"]


MAKERS = [each for kind in ("Deployment", "Job", "CronJob") for each in of(kind)]
PODS = {name_of(each): pod_of(each) for each in MAKERS}
CONTAINERS = {
    f"{name}/{container['name']}": container
    for name, pod in PODS.items()
    for container in (
        *pod["spec"].get("initContainers", []),
        *pod["spec"]["containers"],
    )
}
CONFIGURATION = one("ConfigMap", "password-reset")["data"]
each_pod = pytest.mark.parametrize("name", PODS)
each_container = pytest.mark.parametrize("name", CONTAINERS)


def unit(name: str, key: str) -> list[str]:
    """Return the words of a line of a systemd unit, without its folder."""
    text = (DEPLOY / "systemd" / name).read_text()
    line = re.search(rf"^{key}=(.*)$", text, re.MULTILINE)[1]
    return line.replace("/srv/password-reset/current/.venv/bin/", "").split()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", NATIVE, ids=name_of)
def test_it_follows_the_schema(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_field_is_found() -> None:
    pod = one("Deployment", "web") | {"specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, VERSIONS[0], strict=True)


@pytest.mark.parametrize("folder", [HERE, HERE / "migrate", HERE / "monitoring"])
def test_kustomize_applies_every_file_but_the_example(folder: Path) -> None:
    index = yaml.safe_load((folder / "kustomization.yaml").read_text())
    there = {p.name for p in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(index["resources"]) == there - {"secret.example.yaml"}
    assert {each["metadata"].get("namespace") for each in ALL} <= {
        index["namespace"],
        None,
    }


def test_the_releases_of_all_images_are_set_in_one_place() -> None:
    named = {container["image"] for container in CONTAINERS.values()}
    built = set(re.findall(r"-t (yourapp/\w+):", DOCKERFILE))
    assert {image.partition(":")[0] for image in named} == {
        "yourapp/web",
        "yourapp/edge",
    }
    assert {image.partition(":")[0] for image in named} <= built
    for folder in (HERE, HERE / "migrate"):
        index = yaml.safe_load((folder / "kustomization.yaml").read_text())
        for image in index["images"]:
            assert f"{image['name']}:{image['newTag']}" in named
    tags = {image.partition(":")[2] for image in named}
    assert tags == {"v1.0.0"}


@pytest.mark.parametrize(
    ("container", "service"),
    [
        ("Deployment/web/web", "web"),
        ("Deployment/worker/worker", "worker"),
        ("Job/migrate/migrate", "migrate"),
    ],
)
def test_it_runs_what_compose_runs(container: str, service: str) -> None:
    """But for the socket by which nginx calls there."""
    command = COMPOSE[service]["command"]
    sockets = [place for place in command if place.startswith("unix:")]
    for place in sockets:
        at = command.index(place)
        command = command[: at - 1] + command[at + 1 :]
    assert CONTAINERS[container]["command"] == command


def test_the_environment_is_checked_before_a_start_as_systemd_does() -> None:
    checked = unit("password-reset-web.service", "ExecStartPre")
    for name in ("web", "worker"):
        assert CONTAINERS[f"Deployment/{name}/environment"]["command"] == checked


def test_the_metrics_of_a_worker_are_shown_as_systemd_shows_them() -> None:
    command = unit("password-reset-metrics.service", "ExecStart")
    address = command.index("${METRICS_ADDRESS}")
    container = CONTAINERS["Deployment/worker/metrics"]
    port = container["ports"][0]["containerPort"]
    command[address] = f"0.0.0.0:{port}"
    assert container["command"] == command


def test_each_job_of_cron_runs_at_its_time() -> None:
    cron = (DEPLOY / "cron" / "password-reset").read_text()
    lines = re.findall(
        r"^(\S+(?: +\S+){4}) +password-reset +\$JOB (\S+)$", cron, re.MULTILINE
    )
    jobs = {
        pod_of(job)["spec"]["containers"][0]["command"][2]: job["spec"]["schedule"]
        for job in of("CronJob")
    }
    assert jobs == {command: " ".join(when.split()) for when, command in lines}


def test_no_job_runs_beside_its_own_last_run() -> None:
    for job in of("CronJob"):
        assert job["spec"]["concurrencyPolicy"] == "Forbid"
        assert job["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 0


def test_the_migration_waits_for_locks_as_a_release_does() -> None:
    (option,) = set(
        re.findall(
            r"lock_timeout=\$?\{?(?:LOCK_TIMEOUT:-)?(\w+)",
            (DEPLOY / "server" / "switch.sh").read_text(),
        )
    )
    environment = CONTAINERS["Job/migrate/migrate"]["env"]
    assert {"name": "PGOPTIONS", "value": f"-c lock_timeout={option}"} in environment


def test_the_probes_are_pages_of_the_site() -> None:
    web = CONTAINERS["Deployment/web/web"]
    paths = {
        kind: web[f"{kind}Probe"]["httpGet"]["path"]
        for kind in ("startup", "liveness", "readiness")
    }
    assert resolve(paths["liveness"]).url_name == "health_live"
    assert resolve(paths["startup"]).url_name == "health_live"
    assert resolve(paths["readiness"]).url_name == "health"


def test_the_live_probe_is_that_of_the_image() -> None:
    check = re.search(r"HEALTHCHECK (.*?)\\\n.*?http://[\d.]+:(\d+)(/\S+)'", DOCKERFILE)
    interval, timeout, _start, retries = map(int, re.findall(r"=(\d+)", check[1]))
    web = CONTAINERS["Deployment/web/web"]
    assert web["livenessProbe"] == {
        "httpGet": {"path": check[3], "port": "http"},
        "periodSeconds": interval,
        "timeoutSeconds": timeout,
        "failureThreshold": retries,
    }
    assert web["ports"] == [{"name": "http", "containerPort": int(check[2])}]
    assert f"EXPOSE {check[2]}" in DOCKERFILE


def test_the_pods_are_the_user_of_the_image_and_count_in_its_folder() -> None:
    user = int(re.search(r"^USER (\d+):\1$", DOCKERFILE, re.MULTILINE)[1])
    for name, pod in PODS.items():
        if name != "Deployment/static":
            assert pod["spec"]["securityContext"]["runAsUser"] == user
            assert pod["spec"]["securityContext"]["fsGroup"] == user
    folder = CONFIGURATION["PROMETHEUS_MULTIPROC_DIR"]
    assert folder in DOCKERFILE
    assert folder == COMPOSE["web"]["environment"]["PROMETHEUS_MULTIPROC_DIR"]
    for name, container in CONTAINERS.items():
        if "static" not in name:
            places = {each["mountPath"] for each in container["volumeMounts"]}
            assert folder in places, name


@pytest.mark.parametrize("name", ["web", "worker"])
def test_it_has_the_time_to_finish_that_compose_gives_it(name: str) -> None:
    given = PODS[f"Deployment/{name}"]["spec"]["terminationGracePeriodSeconds"]
    wanted = int(COMPOSE[name]["stop_grace_period"].removesuffix("s"))
    hook = CONTAINERS[f"Deployment/{name}/{name}"].get("lifecycle", {})
    pause = int(hook["preStop"]["exec"]["command"][1]) if hook else 0
    assert given == wanted + pause


@each_pod
def test_a_pod_has_no_right(name: str) -> None:
    spec = PODS[name]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == "password-reset"
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert all(
        set(volume) - {"name"} <= {"emptyDir", "secret", "configMap"}
        for volume in spec["volumes"]
    )


@each_container
def test_a_container_is_locked_in(name: str) -> None:
    container = CONTAINERS[name]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    limits, requests = (container["resources"][key] for key in ("limits", "requests"))
    assert set(limits) == set(requests) == {"cpu", "memory"}
    assert "/tmp" in {each["mountPath"] for each in container["volumeMounts"]}


def test_the_namespace_refuses_what_is_not_locked_in() -> None:
    labels = one("Namespace", "password-reset")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_variable_is_one_that_the_site_reads() -> None:
    known = set(BY_NAME) | OTHERS
    assert {name.removesuffix("_FILE") for name in CONFIGURATION} <= known


def test_every_secret_that_is_named_is_in_the_example_and_the_reverse() -> None:
    keys = set(one("Secret", "password-reset")["stringData"])
    named = {
        Path(value).name
        for value in CONFIGURATION.values()
        if value.startswith("/run/secrets/")
    }
    assert named == keys
    (owner,) = one("Secret", "password-reset-owner")["stringData"]
    place = CONTAINERS["Job/migrate/migrate"]["env"][0]
    assert place == {"name": "DATABASE_URL_FILE", "value": f"/run/owner/{owner}"}


def test_the_owner_of_the_tables_is_known_to_the_migration_alone() -> None:
    mounting = {
        name
        for name, pod in PODS.items()
        for volume in pod["spec"]["volumes"]
        if volume.get("secret", {}).get("secretName") == "password-reset-owner"
    }
    assert mounting == {"Job/migrate"}


def environment(folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Check the environment of the manifests, secrets as files in a folder."""
    secrets = one("Secret", "password-reset")["stringData"]
    for key, value in secrets.items():
        (folder / key).write_text(changes.get(key, value))
    variables = {
        name: value.replace("/run/secrets", str(folder))
        for name, value in CONFIGURATION.items()
    }
    given = {name: value for name, value in changes.items() if name.isupper()}
    return subprocess.run(
        [sys.executable, "-m", "project.env"],
        cwd=ROOT,
        env=variables | given,
        capture_output=True,
        text=True,
    )


def test_every_placeholder_is_refused_by_the_name_of_its_variable(
    tmp_path: Path,
) -> None:
    refused = environment(tmp_path)
    named = {line.split(":")[0].strip() for line in refused.stderr.splitlines()[1:]}
    assert refused.returncode == 1
    assert named >= {
        *("API_URL", "WEB_URL", "APP_NAME", "SUPPORT_EMAIL", "SMTP_FROM", "SMTP_HOST"),
        *("DATABASE_URL", "REDIS_URL", "REDIS_PASSWORD", "SESSION_SECRET"),
        *("SMTP_USER", "SMTP_PASSWORD", "METRICS_TOKEN"),
    }


def test_with_values_of_ones_own_the_environment_is_complete(tmp_path: Path) -> None:
    own = COMPLETE | {"APP_NAME": "Acme", "SUPPORT_EMAIL": "help@acme.dev"}
    secrets = {
        "database_url": own.pop("DATABASE_URL"),
        "session_secret": own.pop("SESSION_SECRET"),
        "metrics_token": own.pop("METRICS_TOKEN"),
        "smtp_password": own.pop("SMTP_PASSWORD"),
        "redis_password": "f3a1c9d27b",
    }
    done = environment(tmp_path, **own, **secrets)
    assert (done.returncode, done.stderr) == (0, "")


def test_selectors_find_the_pods_that_they_are_for() -> None:
    labels = {name: pod["metadata"]["labels"].items() for name, pod in PODS.items()}
    for deployment in of("Deployment"):
        wanted = deployment["spec"]["selector"]["matchLabels"].items()
        found = [name for name, had in labels.items() if wanted <= had]
        assert found == [name_of(deployment)]
    for kind in ("Service", "PodDisruptionBudget"):
        for each in of(kind):
            selector = each["spec"]["selector"]
            wanted = selector.get("matchLabels", selector).items()
            target = f"Deployment/{each['metadata']['name']}"
            assert wanted <= labels[target], name_of(each)


def test_services_and_ingress_lead_to_ports_that_are_there() -> None:
    for service in of("Service"):
        ports = {
            port["name"]
            for container in PODS[f"Deployment/{service['metadata']['name']}"]["spec"][
                "containers"
            ]
            for port in container.get("ports", [])
        }
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports
    hosts = [one("Ingress", "password-reset")["spec"]["rules"]][0]
    for rule in hosts:
        backends = [each["backend"]["service"] for each in rule["http"]["paths"]]
        assert [each["name"] for each in backends] == ["static", "web"]
        for backend in backends:
            (port,) = one("Service", backend["name"])["spec"]["ports"]
            assert backend["port"] == {"name": port["name"]}


def test_the_ingress_has_the_hosts_of_the_site() -> None:
    ingress = one("Ingress", "password-reset")["spec"]
    hosts = [rule["host"] for rule in ingress["rules"]]
    urls = [
        CONFIGURATION[name].removeprefix("https://") for name in ("WEB_URL", "API_URL")
    ]
    assert hosts == urls == ingress["tls"][0]["hosts"]


def reached_by(component: str, direction: str) -> set[int]:
    """Return the ports that a component may reach, or be reached at."""
    ports = set()
    for policy in of("NetworkPolicy"):
        expressions = policy["spec"]["podSelector"].get("matchExpressions", [])
        if any(component in each["values"] for each in expressions):
            for rule in policy["spec"].get(direction, []):
                ports |= {port["port"] for port in rule["ports"]}
    return ports


def test_nothing_is_reached_that_no_policy_names() -> None:
    policy = one("NetworkPolicy", "nothing")["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_each_component_reaches_what_it_needs() -> None:
    data, mail = {53, 5432, 6379, 26379}, {587, 465, 443}
    assert reached_by("web", "egress") == data  # it sends no email
    assert reached_by("worker", "egress") == data | mail
    assert reached_by("job", "egress") == data | mail
    assert reached_by("migration", "egress") == data
    assert reached_by("static", "egress") == set()
    assert reached_by("job", "ingress") == reached_by("migration", "ingress") == set()


def test_a_policy_names_components_that_exist() -> None:
    there = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]
        for pod in PODS.values()
    }
    named = {
        value
        for policy in of("NetworkPolicy")
        for each in policy["spec"]["podSelector"].get("matchExpressions", [])
        for value in each["values"]
    }
    assert named == there


def test_prometheus_reads_what_has_metrics() -> None:
    monitor = one("ServiceMonitor", "password-reset")["spec"]
    (chosen,) = monitor["selector"]["matchExpressions"]
    ports = {endpoint["port"] for endpoint in monitor["endpoints"]}
    services = [one("Service", name) for name in chosen["values"]]
    assert {p["name"] for each in services for p in each["spec"]["ports"]} == ports
    for endpoint in monitor["endpoints"]:
        key = endpoint["authorization"]["credentials"]
        assert key["key"] in one("Secret", key["name"])["stringData"]


def test_the_alerts_name_jobs_that_exist_and_replace_alerts_of_the_kit() -> None:
    rules = (HERE / "monitoring" / "rules.yaml").read_text()
    jobs = {job["metadata"]["name"] for job in of("CronJob")}
    assert set(re.findall(r'cronjob!?="([\w-]+)"', rules)) <= jobs
    shipped = (DEPLOY / "prometheus" / "rules.yml").read_text()
    replaced = re.findall(r"PasswordReset\w+", rules.partition("apiVersion")[0])
    assert len(replaced) == 3
    assert [name for name in replaced if f"alert: {name}\n" not in shipped] == []


def test_the_static_files_have_the_headers_that_nginx_gives_them() -> None:
    own = one("ConfigMap", "static")["data"]["nginx.conf"]
    template = (DEPLOY / "nginx" / "password-reset.conf.template").read_text()
    block = template.partition("location /static/ {")[2].partition("\n    }")[0]
    headers = re.findall(r"add_header (\S+)\s+(.*?);", block)
    assert headers
    assert re.findall(r"add_header (\S+)\s+(.*?);", own) == headers
    assert re.search(r"\"~.*immutable\"", own)[0].split() == (
        re.search(r"\"~\\.*immutable\"", template)[0].split()
    )
