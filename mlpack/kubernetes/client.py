"""The cluster's API through the official client: the only file that knows it, beside `channel`.

Of the client it uses what has been the same in all its versions: the kubeconfig, the logins, and
requests as `DynamicClient.request` sends them. Kinds are known here (`cluster.KINDS`), so nothing
has to be discovered first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes import client as official
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.dynamic import DynamicClient
from websocket import WebSocketBadStatusException, WebSocketException

from mlpack.errors import InputError, OutsideError
from mlpack.kubernetes import channel
from mlpack.kubernetes.channel import Bounds
from mlpack.kubernetes.cluster import EXEC, EXEC_VERBS, NotAllowedError, path_of
from mlpack.kubernetes.values import MANAGER, Manifest

_APPLY = "application/apply-patch+yaml"
_MERGED = "application/json"
_CONNECT_SECONDS, _ANSWER_SECONDS = 10, 30
_UNKNOWN, _FORBIDDEN, _MISSING, _CONFLICT, _GONE, _BUSY = 401, 403, 404, 409, 410, 429
_PAUSES = (1, 2, 4)
_NONE: Mapping[str, str] = {}
_JSON: Mapping[str, str] = {"Accept": "application/json"}
_NO_KUBECONFIG = (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, OSError)
"""What the official client raises for a file that is something else."""

_EXEC_RULE = (
    "The Role needs one rule more:\n"
    f'- {{apiGroups: [""], resources: [{EXEC}], verbs: [{", ".join(EXEC_VERBS)}]}}'
)
_ROLE = "The Role with all that is needed stands in docs/deploy/kubernetes.md."


@dataclass(frozen=True)
class Client:
    """One namespace, see `mlpack.kubernetes.cluster.Cluster`.

    Attributes:
        dynamic: the official client.
        namespace: its name.
        sleep: waits so many seconds.
    """

    dynamic: DynamicClient
    namespace: str
    sleep: Callable[[float], None]

    def read(self, kind: str, name: str) -> dict[str, Any] | None:
        """An object; None where there is none."""
        return self._json("get", path_of(kind, self.namespace, name), (_MISSING,))

    def listed(self, kind: str, selector: str = "", fields: str = "") -> list[dict[str, Any]]:
        """Objects that labels, and fields, select."""
        query = [("labelSelector", selector), ("fieldSelector", fields)]
        told = [pair for pair in query if pair[1]]
        found = self._json("get", path_of(kind, self.namespace), (_MISSING,), query=told) or {}
        return list(found.get("items") or [])

    def apply(self, manifest: Manifest, *, dry: bool = False) -> dict[str, Any]:
        """Server-side apply; a dry run says what would be."""
        path = path_of(manifest["kind"], self.namespace, manifest["metadata"]["name"])
        query = [("fieldManager", MANAGER), ("force", "true")]
        if dry:
            query.append(("dryRun", "All"))
        return self._json("patch", path, (), manifest, query, _APPLY) or {}

    def create(self, manifest: Manifest) -> bool:
        """Make an object; False where there is one."""
        path = path_of(manifest["kind"], self.namespace)
        query = [("fieldManager", MANAGER)]
        return self._json("post", path, (_CONFLICT,), manifest, query) is not None

    def replace(self, manifest: Manifest) -> bool:
        """Replace an object of the manifest's ``resourceVersion``; False where it is another."""
        path = path_of(manifest["kind"], self.namespace, manifest["metadata"]["name"])
        query = [("fieldManager", MANAGER)]
        return self._json("put", path, (_CONFLICT, _MISSING), manifest, query) is not None

    def delete(self, kind: str, name: str, version: str = "") -> None:
        """Delete an object that may be there; with a version, only that one."""
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        body["propagationPolicy"] = "Background"
        if version:
            body["preconditions"] = {"resourceVersion": version}
        self._json("delete", path_of(kind, self.namespace, name), (_MISSING, _CONFLICT), body)

    def wait(self, kind: str, name: str, version: str, seconds: int) -> None:
        """Watch one object until something happens to it, or the time is over."""
        query = [
            *(("watch", "true"), ("fieldSelector", f"metadata.name={name}")),
            *(("resourceVersion", version), ("timeoutSeconds", str(seconds))),
        ]
        path = path_of(kind, self.namespace)
        # A version that the cluster has forgotten (410) is a change, too: the caller reads again.
        for line in self._lines(path, query, seconds + 5, (_GONE, _MISSING)):
            if json.loads(line).get("type") != "BOOKMARK":
                return

    def ask(self, pod: str, port: int, path: str, key: str) -> str:
        """What a pod answers, through the API's own proxy; ``""`` where it refuses or is gone."""
        where = f"{path_of('Pod', self.namespace, pod)}:{port}/proxy{path}"
        headers = {"X-API-Key": key} if key else {}
        fine = (_UNKNOWN, _MISSING, 500, 502, 503, 504)
        lines = self._lines(where, [], _ANSWER_SECONDS, fine, headers)
        return "".join(f"{line}\n" for line in lines)

    def run(self, pod: str, container: str, command: Sequence[str], most: int) -> bytes:
        """What a command in a pod's container writes to its standard output."""
        path, bounds = path_of("Pod", self.namespace, pod), Bounds(most)
        for pause in (*_PAUSES, None):
            try:
                return channel.run(
                    self.dynamic.client.configuration, path, container, command, bounds
                )
            except WebSocketBadStatusException as error:
                if error.status_code != _BUSY or pause is None:
                    raise _not_run(error, pod, self.namespace) from error
                self.sleep(pause)
            except (WebSocketException, OSError) as error:
                raise _silent(error) from error
            except OutsideError as error:
                raise OutsideError(error.what, where=f"pod {pod}", hint=error.hint) from error
        return b""

    def logs(self, pod: str, lines: int, *, before: bool = False) -> str:
        """The last lines of a pod; ``""`` where it has none yet."""
        query = [("tailLines", str(lines)), ("previous", "true" if before else "false")]
        path = f"{path_of('Pod', self.namespace, pod)}/log"
        # 400: the container waits to start, or there was none before.
        return "\n".join(self._lines(path, query, _ANSWER_SECONDS, (400, _MISSING)))

    def follow(self, pod: str, lines: int) -> Iterator[str]:
        """The last lines of a pod, and those that come, until it ends."""
        query = [("tailLines", str(lines)), ("follow", "true")]
        path = f"{path_of('Pod', self.namespace, pod)}/log"
        yield from self._lines(path, query, None, (400, _MISSING))

    def _lines(
        self,
        path: str,
        query: list[tuple[str, str]],
        seconds: int | None,
        fine: tuple[int, ...],
        headers: Mapping[str, str] = _NONE,
    ) -> Iterator[str]:
        told = {"Accept": "application/json" if ("watch", "true") in query else "*/*", **headers}
        answer = self._asked("get", path, fine, None, query, _MERGED, seconds, told)
        if answer is None:
            return
        rest = b""
        try:
            for piece in answer.stream(1 << 16, decode_content=True):
                *whole, rest = (rest + piece).split(b"\n")
                yield from (line.decode(errors="replace") for line in whole if line)
            if rest:
                yield rest.decode(errors="replace")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if not isinstance(error, urllib3.exceptions.ReadTimeoutError):
                raise _silent(error) from error
        finally:
            answer.close()

    def _json(
        self,
        method: str,
        path: str,
        fine: tuple[int, ...],
        body: Manifest | None = None,
        query: list[tuple[str, str]] | None = None,
        content: str = _MERGED,
    ) -> dict[str, Any] | None:
        answer = self._asked(method, path, fine, body, query or [], content, _ANSWER_SECONDS)
        if answer is None:
            return None
        try:
            found: dict[str, Any] = json.loads(answer.data)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _silent(error) from error
        return found

    def _asked(
        self,
        method: str,
        path: str,
        fine: tuple[int, ...],
        body: Manifest | None,
        query: list[tuple[str, str]],
        content: str,
        seconds: int | None,
        headers: Mapping[str, str] = _JSON,
    ) -> Any:  # noqa: ANN401 - urllib3's response, which the client's types do not tell
        """An answer whose body is not read yet; None for a status that is `fine`.

        Raises:
            OutsideError: the cluster does not answer, or refuses.
        """
        for pause in (*_PAUSES, None):
            try:
                return self.dynamic.request(
                    method,
                    path,
                    body=body,
                    query_params=list(query),
                    header_params=dict(headers),
                    content_type=content,
                    serialize=False,
                    _request_timeout=(_CONNECT_SECONDS, seconds),
                )
            except ApiException as error:
                if error.status in fine:
                    return None
                # Busy: what it asked to be sent later was not done.
                if error.status != _BUSY or pause is None:
                    raise _refusal(error, self.namespace) from error
                self.sleep(pause)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise _silent(error) from error
        return None


def connect(
    kubeconfig: str,
    context: str,
    namespace: str,
    env: Mapping[str, str],
    sleep: Callable[[float], None],
) -> Client:
    """A namespace of the cluster that is meant. Nothing is sent yet, but what a login asks for.

    Args:
        kubeconfig: a path; ``""`` for ``KUBECONFIG`` of `env`, else ``~/.kube/config``, else the
            cluster that this process runs in.
        context: one of its contexts; ``""`` for the one that it names itself.
        namespace: where everything is.
        env: the process's environment.
        sleep: waits so many seconds, where the cluster is busy.

    Raises:
        InputError: there is no such file or context.
    """
    configuration = official.Configuration()
    # What changes something is never sent twice: its answer may have been lost alone.
    configuration.retries = urllib3.Retry(
        1, allowed_methods=("GET",), respect_retry_after_header=False
    )
    file = kubeconfig or env.get("KUBECONFIG", "")
    try:
        if not file and not _usual().exists() and env.get("KUBERNETES_SERVICE_HOST"):
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            load_kube_config(  # type: ignore[no-untyped-call]
                config_file=file or str(_usual()),
                context=context or None,
                persist_config=False,
                client_configuration=configuration,
            )
    except ConfigException as error:
        raise InputError(
            f"there is no way to a cluster: {error}",
            where=file or "~/.kube/config",
            hint="kubectl config get-contexts",
        ) from error
    except _NO_KUBECONFIG as error:
        raise InputError(
            f"it is no kubeconfig: {str(error).splitlines()[0][:200]}",
            where=file or "~/.kube/config",
            hint="kubectl config view",
        ) from error
    api = official.ApiClient(configuration)
    dynamic = DynamicClient(api, discoverer=_nothing)  # type: ignore[no-untyped-call]
    return Client(dynamic, namespace, sleep)


def _usual() -> Path:
    return Path("~/.kube/config").expanduser()


def _nothing(client: object, cache_file: object) -> None:
    """Discovers nothing."""


def _refusal(error: ApiException, namespace: str) -> OutsideError:
    try:
        told = json.loads(error.body or b"").get("message", "")
    except (ValueError, AttributeError):
        told = ""
    told = told or f"{error.status} {error.reason}"
    if error.status == _UNKNOWN:
        return OutsideError(
            "the cluster does not know who you are",
            hint="Does kubectl work? Its login is the one that is used here.",
        )
    if error.status == _FORBIDDEN:
        return NotAllowedError(f"the cluster does not allow it: {told}", hint=_ROLE)
    if error.status == _MISSING:
        hint = f"kubectl create namespace {namespace}" if "namespaces" in told else None
        return OutsideError(f"the cluster has none: {told}", hint=hint)
    return OutsideError(f"the cluster refuses it: {told}")


def _not_run(error: WebSocketBadStatusException, pod: str, namespace: str) -> OutsideError:
    told = ApiException(status=error.status_code, reason=error.status_message)
    told.body = (error.resp_body or b"").decode(errors="replace")
    found = _refusal(told, namespace)
    if not isinstance(found, NotAllowedError):
        return OutsideError(found.what, where=f"pod {pod}", hint=found.hint)
    return NotAllowedError(found.what, where=f"pod {pod}", hint=_EXEC_RULE)


def _silent(error: Exception) -> OutsideError:
    return OutsideError(
        f"the cluster does not answer: {str(error)[:300] or type(error).__name__}",
        hint="Run the same command again: it goes on from what is there.",
    )
