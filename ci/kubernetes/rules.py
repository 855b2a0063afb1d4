# SPDX-License-Identifier: Apache-2.0
"""Judges what kustomize makes of an overlay: `rules.py OVERLAY OBJECTS.yaml`. By schema.json, by the rules of Pod Security's
level "restricted" as its page has them, and by what the objects say of each other and of spawnbox. Each rule is shown a pod
that breaks it, too: one that finds nothing there finds nothing at all."""

import copy
import json
import re
import sys
from pathlib import Path

import jsonschema
import yaml

HERE = Path(__file__).parent
# What each overlay gives up of "restricted": by name, and nothing else.
GIVEN_UP = {"restricted": set(), "userns": {"seccompProfile"}}
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def broken(pod):
    """The rules of "restricted" that a pod breaks, with those of "baseline", which it contains. What a container does not
    say, its pod says."""
    rules = set()

    def rule(name, holds):
        if not holds:
            rules.add(name)

    whole = pod.get("securityContext", {})
    rule("host namespaces", not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")))
    kinds = {key for volume in pod.get("volumes", []) for key in volume if key != "name"}
    rule("volumes", kinds <= VOLUMES)
    rule("sysctls", not whole.get("sysctls"))
    for one in containers(pod):
        own = one.get("securityContext", {})
        said = {**whole, **own}
        added = set(own.get("capabilities", {}).get("add", []))
        rule("capabilities", "ALL" in own.get("capabilities", {}).get("drop", []) and added <= {"NET_BIND_SERVICE"})
        rule("privileged", not own.get("privileged"))
        rule("procMount", own.get("procMount", "Default") == "Default")
        rule("allowPrivilegeEscalation", own.get("allowPrivilegeEscalation") is False)
        rule("runAsNonRoot", said.get("runAsNonRoot") is True)
        rule("runAsUser", said.get("runAsUser") != 0)
        rule("seccompProfile", said.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"))
        profile = said.get("appArmorProfile", {}).get("type", "RuntimeDefault")
        rule("appArmorProfile", profile in ("RuntimeDefault", "Localhost"))
        rule("host ports", not any(port.get("hostPort") for port in one.get("ports", [])))
    return rules


def try_rules(pod):
    """Breaks each rule in a copy of a pod that keeps them all."""
    container = ("containers", 0, "securityContext")
    for name, path, value in [
        ("host namespaces", ("hostPID",), True),
        ("volumes", ("volumes", 0), {"name": "host", "hostPath": {"path": "/"}}),
        ("sysctls", ("securityContext", "sysctls"), [{"name": "net.core.somaxconn", "value": "1"}]),
        ("capabilities", (*container, "capabilities"), {"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
        ("capabilities", (*container, "capabilities"), {}),
        ("privileged", (*container, "privileged"), True),
        ("procMount", (*container, "procMount"), "Unmasked"),
        ("allowPrivilegeEscalation", (*container, "allowPrivilegeEscalation"), True),
        ("runAsNonRoot", (*container, "runAsNonRoot"), False),
        ("runAsUser", (*container, "runAsUser"), 0),
        ("seccompProfile", ("securityContext", "seccompProfile"), {"type": "Unconfined"}),
        ("appArmorProfile", ("securityContext", "appArmorProfile"), {"type": "Unconfined"}),
        ("host ports", ("containers", 0, "ports", 0, "hostPort"), 7000),
    ]:
        spoiled = copy.deepcopy(pod)
        place = spoiled
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        assert broken(spoiled) == {name}, f"a pod that breaks {name} is said to break {broken(spoiled)}"


def seconds(container, option):
    word = next(word for word in container["args"] if word.startswith(option + "="))
    return int(re.fullmatch(r"(\d+)s", word.split("=")[1])[1])


def fit(objects):
    """What one object says of another."""
    deployment, service, scaler = (objects[kind] for kind in ("Deployment", "Service", "HorizontalPodAutoscaler"))
    template = deployment["spec"]["template"]
    pod, labels = template["spec"], template["metadata"]["labels"].items()
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    yield "the Deployment finds its pods", deployment["spec"]["selector"]["matchLabels"].items() <= labels
    yield "the Service finds them", service["spec"]["selector"].items() <= labels
    yield "its ports are theirs", all(port["targetPort"] in ports for port in service["spec"]["ports"])
    yield "so are those of the probes", {container[kind]["httpGet"]["port"] for kind in ("readinessProbe", "livenessProbe")} <= ports.keys()
    yield "readiness is asked of /readyz", container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    yield "metrics are where they are scraped", template["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])
    drain = seconds(container, "--drain-delay") + seconds(container, "--drain-limit")
    yield "a pod is given the time that its drain takes", pod["terminationGracePeriodSeconds"] > drain
    probe = container["readinessProbe"]
    # The kubelet's own defaults are three failures, and ten seconds between them.
    unready = probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10)
    yield "and is seen to leave before it drains", seconds(container, "--drain-delay") > unready
    (policies,) = pod["volumes"]
    yield "the policies are those of the ConfigMap", policies["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"]
    (mount,) = container["volumeMounts"]
    yield "and are mounted where they are read", mount["name"] == policies["name"] and mount["mountPath"] == container["args"][-1]
    names = {metric["pods"]["metric"]["name"] for metric in scaler["spec"]["metrics"]}
    exported = (HERE / "../../src/supervise/metrics/names.rs").read_text()
    yield "what it scales by is exported", all(f'"{name}"' in exported for name in names)
    yield "and the Deployment is what scales", scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    addresses = [line for text in objects["ConfigMap"]["data"].values() for line in text.splitlines() if line.startswith("addresses")]
    yield "a policy listens where clients are sent", any(f':{ports["service"]}"' in line for line in addresses)


def main(overlay, file):
    schema = json.loads((HERE / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    objects = {}
    for one in yaml.safe_load_all(Path(file).read_text()):
        kind = one["kind"]
        assert kind not in objects, f"two of {kind}"
        jsonschema.validate(one, {"$ref": f"#/$defs/{schema['kinds'][kind]}", "$defs": schema["$defs"]})
        objects[kind] = one
    assert objects.keys() == schema["kinds"].keys(), f"not one of each kind: {sorted(objects)}"
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    found = broken(pod)
    assert found == GIVEN_UP[overlay], f"{overlay} breaks {found or 'nothing'} of Pod Security's restricted"
    if not found:
        try_rules(pod)
    wrong = [what for what, holds in fit(objects) if not holds]
    assert not wrong, f"{overlay}: not so: {', '.join(wrong)}"
    unknown = copy.deepcopy(objects["Deployment"])
    unknown["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 60
    try:
        jsonschema.validate(unknown, {"$ref": "#/$defs/deployment", "$defs": schema["$defs"]})
    except jsonschema.ValidationError:
        print(f"ok: {overlay}: of {len(objects)} objects; of restricted it gives up: {', '.join(found) or 'nothing'}")
    else:
        raise AssertionError("the schema takes a field that there is not")


main(*sys.argv[1:])
