"""Hold rendered manifests to schemas: Kubernetes' own, strictly, and operators.yaml for what operators bring along.

    python .ci/manifests.py DIRECTORY

The directory has what was rendered, a file each. Beside a file with a PrometheusRule there is afterwards a directory
with its rules as promtool reads them: NAME.yaml has NAME.rules/rules.yaml. Exits 1 where something is wrong, and says
what and where.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import kubernetes_validate  # type: ignore[import-untyped]
import yaml

KUBERNETES = "1.32"
OPERATORS = yaml.safe_load((Path(__file__).parent / "operators.yaml").read_text(encoding="utf-8"))


def wrong_with(document: dict[str, Any]) -> str | None:
    """Return what is wrong with a document, or None."""
    known = OPERATORS["kinds"].get(f"{document['apiVersion']} {document['kind']}")
    try:
        if known is None:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
            return None
        schema = {
            "definitions": OPERATORS["definitions"],
            "type": "object",
            "additionalProperties": False,
            "required": ["metadata", "spec"],
            "properties": {"apiVersion": {}, "kind": {}, "metadata": {"$ref": "#/definitions/metadata"}, "spec": known},
        }
        jsonschema.validate(document, schema)
    except kubernetes_validate.SchemaNotFoundError:
        return f"neither Kubernetes {KUBERNETES} nor .ci/operators.yaml knows {document['apiVersion']}"
    except jsonschema.ValidationError as exc:
        return f"{'.'.join(map(str, exc.path)) or 'the document'}: {exc.message}"
    return None


def main(directory: Path) -> int:
    """Look at every file of the directory; return the exit code."""
    good = True
    for file in sorted(directory.glob("*.yaml")):
        documents = [each for each in yaml.safe_load_all(file.read_text(encoding="utf-8")) if each]
        if not documents:
            good = False
            print(f"{file.name}: nothing was rendered")
        for each in documents:
            if wrong := wrong_with(each):
                good = False
                print(f"{file.name}: {each['kind']} {each['metadata'].get('name')}: {wrong}")
            if each["kind"] == "PrometheusRule":
                place = file.with_suffix(".rules")
                place.mkdir()
                (place / "rules.yaml").write_text(yaml.safe_dump(each["spec"], sort_keys=False), encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
