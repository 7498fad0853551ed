"""The manifests are held to the code: exit codes, command lines, settings, and what a restricted namespace asks."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import kubernetes_validate  # type: ignore[import-untyped] # it has no types
import pytest
import yaml

from certjobs.config import PREFIX, Settings
from certjobs.errors import ExitCode
from tests.conftest import ROOT
from tests.test_units import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def test_every_overlay_is_what_kubernetes_takes(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """Every document of every overlay passes strict validation against Kubernetes 1.32."""
    for documents in rendered.values():
        for each in documents:
            if each["kind"] not in OTHERS:
                kubernetes_validate.validate(each, "1.32", strict=True)


def test_the_failure_policy_lists_the_codes_no_retry_helps(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """A night fails for good on just the codes of the table that no retry helps; the watchdog on overdue as well."""
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


def test_every_setting_exists(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """Every variable that the manifests set is a setting, and none of them holds a secret."""
    for documents in rendered.values():
        names = [name for each in documents if each["kind"] == "ConfigMap" for name in each["data"]]
        names += [each["name"] for _, _, pod in pods(documents) for each in pod["containers"][0].get("env", ())]
        for name in names:
            field = Settings.model_fields[name.removeprefix(PREFIX).lower()]
            assert name.startswith(PREFIX)
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


@pytest.mark.parametrize("component", ["keda", "external-secrets", "workload-identity-azure"])
def test_components_go_with_an_overlay(component: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each component can be added to an overlay, and changes what it says it does."""
    place = tmp_path_factory.mktemp("k8s") / "k8s"
    shutil.copytree(K8S, place)
    file = place / "overlays" / "staging" / "kustomization.yaml"
    chosen = yaml.safe_load(file.read_text(encoding="utf-8"))
    chosen["components"].append(f"../../components/{component}")
    file.write_text(yaml.safe_dump(chosen), encoding="utf-8")
    documents = render(str(place / "overlays" / "staging"))
    if component == "workload-identity-azure":
        (night,) = [each for each in documents if each["metadata"]["name"] == "certjobs-nightly"]
        pod = night["spec"]["jobTemplate"]["spec"]["template"]
        assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
        assert f"{PREFIX}DATAVERSE_FEDERATED_TOKEN_FILE" in str(pod["spec"]["containers"][0]["env"])
    else:
        assert {each["kind"] for each in documents} & OTHERS
