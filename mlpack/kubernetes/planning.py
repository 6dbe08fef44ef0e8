"""What a rollout would change, field by field, as the cluster itself would do it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from mlpack.errors import InputError
from mlpack.kubernetes import kserve, manifests
from mlpack.kubernetes.cluster import Cluster, NotAllowedError
from mlpack.kubernetes.difference import differences, named_only
from mlpack.kubernetes.manifests import Objects
from mlpack.kubernetes.values import Manifest, Release, State, canary_name, named
from mlpack.ports import Action


def same(live: Release, draft: Release) -> bool:
    """Whether nothing would be another."""
    return (live.image, live.settings) == (draft.image, draft.settings)


def actions(
    cluster: Cluster, state: State, made: Objects, draft: Release, share: int
) -> list[Action]:
    """What would be done.

    Args:
        cluster: is asked by dry runs, which change nothing.
        state: what is remembered.
        made: the objects that there shall be.
        draft: their release.
        share: of a canary; 0 for none.

    Raises:
        InputError: nothing is there that a canary could stand beside.
        OutsideError: the cluster does not answer, or would refuse it.
    """
    return list(_actions(cluster, state, made, draft, share))


def _actions(
    cluster: Cluster, state: State, made: Objects, draft: Release, share: int
) -> Iterator[Action]:
    if state.pending is not None:
        what = f"release {state.pending.release}"
        yield Action("settle", what, f"a {state.pending.verb} that was broken off")
    live = state.release(state.live)
    if share and live is None:
        raise InputError("there is nothing that a canary could stand beside")
    _refuse_other_mode(live, made)
    unchanged = live is not None and same(live, draft)
    number = state.live if unchanged else state.next
    if made.secret is not None:
        yield _secret(made.secret, state)
    if share and not unchanged:
        yield from _canary(cluster, made.workload, draft, number, share)
        return
    replicas = None
    if made.workload["kind"] == "Deployment" and "replicas" not in made.workload["spec"]:
        there = cluster.read("Deployment", made.workload["metadata"]["name"]) or {}
        replicas = max(int(there.get("spec", {}).get("replicas") or 0), draft.replicas)
    for each in (*made.around, manifests.numbered(made.workload, number, replicas)):
        yield from _object(cluster, each)
    wanted = {named(each) for each in made.all}
    gone = set(map(named, live.around)) - wanted if live is not None else set()
    yield from (Action("delete", each) for each in sorted(gone))
    if not unchanged:
        yield Action("wait", f"release {number}", "until its pods are ready")


def _refuse_other_mode(live: Release | None, made: Objects) -> None:
    """KServe makes a Service of the same name: both cannot be there at once."""
    kind = made.workload["kind"]
    if live is not None and live.workload["kind"] != kind:
        raise InputError(
            f"{live.workload['kind']} runs there, not {kind}",
            where="[deploy] mode",
            hint="Choose another service, or first: mlpack remove ENVIRONMENT",
        )


def _canary(
    cluster: Cluster, workload: Manifest, draft: Release, number: int, share: int
) -> Iterator[Action]:
    told = f"release {number}"
    if workload["kind"] != "Deployment":
        made = kserve.with_share(manifests.numbered(workload, number), share)
        yield from _object(cluster, made)
        yield Action("wait", told, f"until it is ready for {share}% of the requests")
        return
    there = cluster.read("Deployment", workload["metadata"]["name"]) or {}
    pods = int(there.get("spec", {}).get("replicas") or draft.replicas)
    count = manifests.beside(pods, share)
    name = f"Deployment/{canary_name(workload['metadata']['name'])}"
    true = manifests.true_share(pods, count)
    yield Action("create", name, f"{count} beside {pods}: {true}% of the requests")
    yield Action("wait", told, "until its pods are ready")


def _secret(secret: Manifest, state: State) -> Action:
    # Its name tells of its content, so that it need not be read.
    there = named(secret) in state.there
    detail = "is there" if there else f"{len(secret['data'])} files"
    return Action("keep" if there else "create", named(secret), detail, needed=not there)


def _object(cluster: Cluster, wanted: Manifest) -> Iterator[Action]:
    there = cluster.read(wanted["kind"], wanted["metadata"]["name"])
    would: Manifest | None = None
    with suppress(NotAllowedError):  # who may only look is told what is named and another one
        would = cluster.apply(wanted, dry=True)
    if there is None:
        yield Action("create", named(wanted))
        return
    found = named_only(there, wanted) if would is None else differences(there, would)
    if not found:
        yield Action("keep", named(wanted), "is so already", needed=False)
    yield from (Action("change", named(wanted), each) for each in found)
