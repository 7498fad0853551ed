"""The manifests are held to the code: exit codes, command lines, settings, and what a restricted namespace asks."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from certjobs import config, services
from certjobs.adapters.clock import SystemClock
from certjobs.config import PREFIX, Settings
from certjobs.errors import ExitCode
from tests.canaries import canary, store
from tests.children.servers import unused_port
from tests.conftest import ROOT
from tests.test_units import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Certjobs, Result

K8S = ROOT / "k8s"
RENDERED = (*(f"overlays/{name}" for name in ("dev", "staging", "prod")), "breakglass")
NO_RETRY_HELPS = sorted(int(code) for code in ExitCode if code and not code.retry_helps)
OTHERS = {
    "ExternalSecret",
    "PrometheusRule",
    "ScaledObject",
    "TriggerAuthentication",
}  # kinds that operators bring along
MOUNTS = ("/run/secrets/certjobs", "/tmp")  # noqa: S108 - of a container
LONGEST_NAME = 52  # of a CronJob, whose Jobs have eleven characters more

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on this machine")


def render(part: str) -> list[dict[str, Any]]:
    """Return what a part of the manifests comes to."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(K8S / part)], capture_output=True, text=True, check=True, timeout=60
    )
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module")
def rendered() -> dict[str, list[dict[str, Any]]]:
    """Render everything that is to be applied, once."""
    return {part: render(part) for part in RENDERED}


def pods(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield what starts pods: its name, the Job's or Deployment's own part, and the pod's."""
    for each in documents:
        spec = each.get("spec", {})
        job = spec["jobTemplate"]["spec"] if each["kind"] == "CronJob" else spec
        if "template" in job:
            yield each["metadata"]["name"], job, job["template"]["spec"]


def test_the_failure_policy_lists_the_codes_no_retry_helps(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """A night ends on just the codes of the table that no retry helps, and prune; the watchdog on overdue too."""
    for part in RENDERED[:-1]:
        policies = {
            name: (rule["onExitCodes"]["containerName"], sorted(rule["onExitCodes"]["values"]))
            for name, job, _ in pods(rendered[part])
            for rule in job.get("podFailurePolicy", {}).get("rules", ())
            if rule["action"] == "FailJob"
        }
        assert policies == {
            "certjobs-nightly": ("certjobs", NO_RETRY_HELPS),
            "certjobs-watchdog": ("certjobs", sorted([*NO_RETRY_HELPS, int(ExitCode.PARTIAL)])),
            "certjobs-prune": ("certjobs", NO_RETRY_HELPS),
        }


def test_evicted_is_no_failure(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """A pod that the cluster takes away does not count as a failed night, and a policy has what it needs to work."""
    for name, job, pod in pods(rendered["overlays/prod"]):
        for rule in job.get("podFailurePolicy", {}).get("rules", ())[:1]:
            assert rule == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
            assert (pod["restartPolicy"], pod["containers"][0]["name"]) == ("Never", "certjobs"), name


def test_the_night_cannot_freeze(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """Cron jobs run in UTC, one at a time, with a deadline: one pod that never starts holds up no other night."""
    for each in rendered["overlays/prod"]:
        if each["kind"] == "CronJob":
            spec = each["spec"]
            assert (spec["timeZone"], spec["concurrencyPolicy"]) == ("Etc/UTC", "Forbid")
            assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= 1800
            assert spec["startingDeadlineSeconds"] >= 10
            assert len(each["metadata"]["name"]) <= LONGEST_NAME


def test_every_command_line_is_one(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """What a container is started with is a command of certjobs with its options."""
    for documents in rendered.values():
        for _, _, pod in pods(documents):
            parse(shlex.join(["certjobs", *pod["containers"][0]["args"]]))


def starts(documents: list[dict[str, Any]], certjobs: Certjobs, path: Path) -> dict[str, Result]:
    """Start each container as the manifests say, with its secrets and no database in reach; return how each ended.

    What portal and channel need is looked at as well, for without a database a run does not come that far. A watcher
    waits for the database: its heartbeat has no directory, and that is where it ends.
    """
    secrets = path / "secrets"
    secrets.mkdir()
    (secrets / "database_url").write_text(f"postgresql://nobody@127.0.0.1:{unused_port()}/certjobs", encoding="utf-8")
    store(secrets / "dataverse_client_secret", canary("client"))
    store(secrets / "smtp_password", canary("smtp"))
    (settings,) = [each["data"] for each in documents if each["kind"] == "ConfigMap"]
    ended = {}
    for name, _, pod in pods(documents):
        (container,) = pod["containers"]
        given = settings if "envFrom" in container else {}
        given = given | {each["name"]: each["value"] for each in container["env"]}
        given[f"{PREFIX}SECRETS_DIR"] = str(secrets)
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in given.items():
                patch.setenv(variable, value)
            loaded = config.load()
            services.portal(loaded, config.load, SystemClock().sleep)
            services.notifier(loaded, loaded.notify_channel or "none", sys.stdout)
            services.site(loaded)
        argv = [each.replace("/tmp/", f"{path}/nowhere/") for each in container["args"]]  # noqa: S108 - of a container
        ended[name] = certjobs(*argv, env=given)
    return ended


def assert_started(ended: dict[str, Result]) -> None:
    """See that what each misses is the database alone, and a watcher the place for its heartbeat."""
    for name, result in ended.items():
        if name == "certjobs-watch":
            assert "heartbeat file cannot be written" in result.stderr
        else:
            assert result.exit_code == ExitCode.UNAVAILABLE, (name, result)


@pytest.mark.parametrize("overlay", RENDERED[:-1])
def test_every_container_starts(
    rendered: dict[str, list[dict[str, Any]]], overlay: str, certjobs_unset: Certjobs, tmp_path: Path
) -> None:
    """With the settings of its overlay and the secrets that are asked for, each container comes as far as the database.

    The break-glass Job runs with the settings of prod.
    """
    documents = rendered[overlay] + (rendered["breakglass"] if overlay == "overlays/prod" else [])
    ended = starts(documents, certjobs_unset, tmp_path)
    assert {"certjobs-nightly", "certjobs-watchdog", "certjobs-prune", "certjobs-migrate"} <= set(ended)
    assert_started(ended)


def test_every_account_is_there(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """Each pod has an account that is rendered with it, and migrate and break-glass one of their own."""
    for part, documents in rendered.items():
        accounts = {each["metadata"]["name"] for each in documents if each["kind"] == "ServiceAccount"}
        used = {name: pod["serviceAccountName"] for name, _, pod in pods(documents)}
        assert set(used.values()) == accounts, part
        for name, account in used.items():
            assert account == (name if name in ("certjobs-migrate", "certjobs-breakglass") else "certjobs")


def test_every_pod_has_time_to_finish(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """Each pod that is ended has a minute for the request in hand."""
    graces = {pod["terminationGracePeriodSeconds"] for documents in rendered.values() for _, _, pod in pods(documents)}
    assert graces == {60}


def test_every_setting_exists(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """Every variable that the manifests set is a setting, and none of them holds a secret."""
    for documents in rendered.values():
        names = [name for each in documents if each["kind"] == "ConfigMap" for name in each["data"]]
        names += [each["name"] for _, _, pod in pods(documents) for each in pod["containers"][0].get("env", ())]
        for name in names:
            field = Settings.model_fields[name.removeprefix(PREFIX).lower()]
            assert name.startswith(PREFIX)
            assert name != f"{PREFIX}TRIGGER", "who works in a pod by hand is no schedule"
            assert "Secret" not in str(field.annotation), name


def test_every_pod_is_under_the_network_policy(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """The policy of an overlay selects every pod that the overlay starts, by a label that only ours have."""
    for part in RENDERED[:-1]:
        (policy,) = [each["spec"] for each in rendered[part] if each["kind"] == "NetworkPolicy"]
        asked = policy["podSelector"]["matchLabels"].items()
        assert asked
        started = [name for name, _, _ in pods(rendered[part])]
        selected = [
            name
            for name, job, _ in pods(rendered[part])
            if asked <= job["template"].get("metadata", {}).get("labels", {}).items()
        ]
        assert selected == started, part


def test_every_pod_is_restricted(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """Every pod is as a restricted namespace asks: no root, no capability, no token, a /tmp of its own and no more."""
    for documents in rendered.values():
        for name, _, pod in pods(documents):
            (container,) = pod["containers"]
            own = container["securityContext"]
            assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False), name
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            mounts = {each["mountPath"]: each.get("subPath") for each in container["volumeMounts"]}
            assert mounts == dict.fromkeys(MOUNTS), "a subPath would not be rotated"
            (secret,) = [each["secret"] for each in pod["volumes"] if "secret" in each]
            assert secret["defaultMode"] == 0o440


def test_what_the_document_adds_to_the_network_policy(tmp_path: Path) -> None:
    """The example of docs/kubernetes.md opens the ports that it tells of, and leaves those that were open."""
    text = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    (example,) = [each for each in re.findall(r"(?s)```yaml\n(.*?)```", text) if "NetworkPolicy" in each]
    place = tmp_path / "k8s"
    shutil.copytree(K8S, place)
    with (place / "overlays" / "staging" / "kustomization.yaml").open("a", encoding="utf-8") as file:
        file.write(example)
    documents = render(str(place / "overlays" / "staging"))
    (policy,) = [each["spec"] for each in documents if each["kind"] == "NetworkPolicy"]
    opened = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert opened == {53, 5432, 443, 587, 6432, 465}
    said = re.search(r"(?s)## What the network lets through\n(.*?)```", text)
    assert said
    assert set(re.findall(r"\d{2,}", said[1])) == {"53", "5432", "443", "587"}


@pytest.mark.parametrize("component", ["keda", "external-secrets", "workload-identity-azure"])
def test_components_go_with_an_overlay(component: str, tmp_path: Path, certjobs_unset: Certjobs) -> None:
    """Each component can be added to an overlay, and changes what it says it does."""
    place = tmp_path / "k8s"
    shutil.copytree(K8S, place)
    file = place / "overlays" / "staging" / "kustomization.yaml"
    chosen = yaml.safe_load(file.read_text(encoding="utf-8"))
    chosen["components"].append(f"../../components/{component}")
    file.write_text(yaml.safe_dump(chosen), encoding="utf-8")
    documents = render(str(place / "overlays" / "staging"))
    if component == "workload-identity-azure":
        use = "azure.workload.identity/use"
        marked = {name for name, job, _ in pods(documents) if use in job["template"]["metadata"]["labels"]}
        assert marked == {"certjobs-nightly", "certjobs-watch"}
        pytest.importorskip("azure.identity")
        (settings,) = [each["data"] for each in documents if each["kind"] == "ConfigMap"]
        settings[f"{PREFIX}DATAVERSE_CREDENTIAL"] = "workload"
        talking = [each for each in documents if each["metadata"]["name"] in marked or each["kind"] == "ConfigMap"]
        assert_started(starts(talking, certjobs_unset, tmp_path))
    else:
        assert {each["kind"] for each in documents} & OTHERS
