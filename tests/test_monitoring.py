"""The alerts are held to the manifests, the program and the documents; that each fires and when, promtool tries."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from certjobs.adapters.metrics import TextfileMeter
from certjobs.ports import Measured
from certjobs.registry import JOBS
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

K8S = ROOT / "k8s"
MONITORING = K8S / "components" / "monitoring"
RULE = yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text(encoding="utf-8"))
ALERTS = {rule["alert"]: rule for group in RULE["spec"]["groups"] for rule in group["rules"]}
OVERDUE = {"CertjobsOverdue", "CertjobsNeverSucceeded", "CertjobsMachineOverdue"}


def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    """Return what the base and the components are made of, by kind and name."""
    files = [*(K8S / "base").glob("*.yaml"), *(K8S / "components").glob("*/*.yaml")]
    documents = [each for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    return {(each["kind"], each["metadata"]["name"]): each for each in documents if "metadata" in each}


def named(label: str) -> set[str]:
    """Return every value that an expression asks of a label."""
    found = (re.findall(rf'\b{label}=~?"([^"]+)"', rule["expr"]) for rule in ALERTS.values())
    return {value for each in found for values in each for value in values.split("|")}


def expected() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield, for each moment that promtool looks at, the test and the labels of what must fire then."""
    for file in sorted((MONITORING / "tests").glob("*.yaml")):
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for moment in test["promql_expr_test"]:
                assert moment["expr"] == 'ALERTS{alertstate="firing"}'
                yield (
                    test["name"],
                    [dict(re.findall(r'(\w+)="([^"]*)"', each["labels"])) for each in moment["exp_samples"]],
                )


def test_overdue_is_the_same_to_the_alerts_and_to_the_watchdog() -> None:
    """The age from which the alerts call a night overdue is the --max-age of the watchdog's CronJob."""
    pod = manifests()["CronJob", "certjobs-watchdog"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    age = re.fullmatch(r"status --max-age (\d+)h --alert", " ".join(pod["containers"][0]["args"]))
    assert age
    assert {name for name, rule in ALERTS.items() if f"> {age[1]} * 3600" in rule["expr"]} == OVERDUE
    assert {name for name, rule in ALERTS.items() if "* 3600" in rule["expr"]} == OVERDUE


def test_a_start_is_missed_when_the_cluster_gives_it_up() -> None:
    """The delay from which a start counts as missed is the deadline after which no CronJob of ours is started."""
    deadlines = {
        each["spec"]["startingDeadlineSeconds"] for (kind, _), each in manifests().items() if kind == "CronJob"
    }
    assert [ALERTS["CertjobsMissedSchedule"]["expr"].rsplit(" > ", 1)[1]] == [str(each) for each in deadlines]


def test_the_alerts_ask_for_what_the_manifests_have() -> None:
    """Each CronJob, Deployment and job that an expression names exists, and all are watched over but what may wait."""
    of = {kind: {name for known, name in manifests() if known == kind} for kind in ("CronJob", "Deployment")}
    assert named("cronjob") == named("owner_name") == of["CronJob"] - {"certjobs-prune"}
    assert named("deployment") == of["Deployment"]
    assert named("job") == named("exported_job") == {"nightly"} < {each.name for each in JOBS}


def test_no_expression_names_a_namespace() -> None:
    """One rule serves every overlay: an alert's labels say which namespace it is about. Staging and prod have it."""
    assert named("namespace") == set()
    for overlay in ("staging", "prod"):
        chosen = yaml.safe_load((K8S / "overlays" / overlay / "kustomization.yaml").read_text(encoding="utf-8"))
        assert "../../components/monitoring" in chosen["components"]


def test_each_alert_is_tried_both_ways() -> None:
    """In promtool's tests each alert fires at one moment, and does not at another of the same test."""
    tests: dict[str, list[set[str]]] = {}
    for name, firing in expected():
        tests.setdefault(name, []).append({each["alertname"] for each in firing})
    both = {alert for first, *rest in tests.values() for alert in first.union(*rest) - first.intersection(*rest)}
    assert both == set(ALERTS)


def test_what_an_alert_says_of_its_labels_it_has() -> None:
    """The sentences of an alert name only labels that it has when it fires, and whom it is about."""
    for firing in (each for _, moment in expected() for each in moment):
        rule = ALERTS[firing["alertname"]]
        assert rule["labels"] == {"severity": firing["severity"]}
        assert firing["severity"] in {"critical", "warning"}
        said = rule["annotations"]["summary"] + rule["annotations"]["description"]
        used = set(re.findall(r"\$labels\.(\w+)", said))
        assert used <= set(firing), rule["alert"]
        assert used >= {"namespace", "instance"} & set(firing), rule["alert"]


def test_each_alert_points_to_a_section_of_the_runbook() -> None:
    """What an alert's annotation names is a heading of docs/runbook.md."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    headings = {re.sub(r"[^\w-]", "", each.lower().replace(" ", "-")) for each in re.findall(r"(?m)^##+ (.*)$", text)}
    for rule in ALERTS.values():
        path, section = rule["annotations"]["runbook"].split("#")
        assert (path, section in headings) == ("docs/runbook.md", True), rule["alert"]


def test_the_document_lists_each_alert() -> None:
    """The table of alerts in docs/kubernetes.md names exactly the alerts that exist, with their severity."""
    text = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `(Certjobs\w+)` \| (\w+) \|", text)
    assert rows == [(name, rule["labels"]["severity"]) for name, rule in ALERTS.items()]


def test_the_alerts_know_the_metrics_that_certjobs_writes(tmp_path: Path) -> None:
    """Each metric of certjobs' own that an expression asks for stands in the file that a night leaves."""
    pytest.importorskip("prometheus_client")

    class Midnight:
        def now(self) -> datetime:
            return datetime(2026, 11, 1, tzinfo=UTC)

    TextfileMeter(tmp_path, Midnight()).write(Measured("nightly", 0, 1.0, {}))
    (file,) = tmp_path.iterdir()
    written = set(re.findall(r'(?m)^(\w+)\{job="nightly"\}', file.read_text(encoding="utf-8")))
    asked = {name for rule in ALERTS.values() for name in re.findall(r"\bcertjobs_\w+", rule["expr"])}
    assert asked
    assert asked <= written


def test_what_no_operator_knows_is_found(tmp_path: Path) -> None:
    """The check of the manifests tells of an operator's resource with a wrong word, value or version."""
    text = (K8S / "components" / "external-secrets" / "externalsecret.yaml").read_text(encoding="utf-8")
    (tmp_path / "good.yaml").write_text(text, encoding="utf-8")
    wrong = {
        "refreshInterval:": ("refresh:", "spec: Additional properties are not allowed ('refresh' was unexpected)"),
        "{key: certjobs-smtp-password}": ("{}", "spec.data.2.remoteRef: 'key' is a required property"),
        "external-secrets.io/v1": ("external-secrets.io/v0", "neither Kubernetes 1.32 nor .ci/operators.yaml knows"),
        ": 1h": (": hourly", "spec.refreshInterval: 'hourly' does not match"),
    }
    for number, (was, (becomes, _)) in enumerate(wrong.items()):
        assert was in text
        (tmp_path / f"wrong{number}.yaml").write_text(text.replace(was, becomes), encoding="utf-8")
    program = [sys.executable, str(ROOT / ".ci" / "manifests.py"), str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    for number, (line, (_, told)) in enumerate(zip(done.stdout.splitlines(), wrong.values(), strict=True)):
        assert line.startswith(f"wrong{number}.yaml: ExternalSecret certjobs: {told}")
