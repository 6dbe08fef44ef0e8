"""The Open Inference Protocol over gRPC, asked by Triton's own client, and by its stubs."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from asking import get, post
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from servers import Server
from slow_models import sleepy_package
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import InferenceServerException

from mlpack.runtime.app import App
from mlpack.runtime.calls import made, reserved
from mlpack.runtime.faults import ServerError
from mlpack.runtime.grpc_server import _client
from mlpack.runtime.protocols.grpc_inference import METHODS, route_of
from mlpack.runtime.settings import Settings, SettingsError, from_environment
from mlpack.runtime.tracing import Tracing

INFER = route_of("ModelInfer")
PLANS = ["pro", "basic", "pro"]
VISITS = [5, 0, 3]
ROWS = [{"visits": visits, "plan": plan} for visits, plan in zip(VISITS, PLANS, strict=True)]
Code = grpc.StatusCode


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def served(root, *arguments, **environ):
    """A server, and the address of its gRPC."""
    port = free_port()
    with Server(root, *arguments, MLPACK_GRPC_PORT=str(port), **environ) as running:
        yield running, f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def sleepy(tmp_path_factory):
    """The same of a slow model."""
    root = tmp_path_factory.mktemp("sleepy")
    sleepy_package(root)
    return root


@pytest.fixture(scope="module")
def both(root):
    with served(root, MLPACK_MAX_BODY="200000", MLPACK_BODY_SECONDS="1") as found:
        yield found


@pytest.fixture(scope="module")
def server(both):
    return both[0]


@pytest.fixture
def client(both):
    with closing(triton.InferenceServerClient(both[1])) as found:
        yield found


@pytest.fixture
def stub(both):
    with grpc.insecure_channel(both[1]) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def tensor(name, datatype, values, shape=None):
    """An input of Triton's client, in the binary form."""
    dtype = object if datatype == "BYTES" else triton_dtype(datatype)
    array = np.array(values, dtype).reshape(shape or [len(values)])
    made = triton.InferInput(name, list(array.shape), datatype)
    return made.set_data_from_numpy(array)


def triton_dtype(datatype):
    return {"FP64": "<f8", "FP32": "<f4", "INT64": "<i8", "INT16": "<i2", "BOOL": "?"}[datatype]


def base():
    return [tensor("visits", "INT64", VISITS), tensor("plan", "BYTES", PLANS)]


def typed(name, datatype, field, values):
    """An input of the messages, with typed contents."""
    made = pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=[len(values)])
    getattr(made.contents, field).extend(values)
    return made


TYPED = (
    typed("visits", "INT64", "int64_contents", VISITS),
    typed("plan", "BYTES", "bytes_contents", [each.encode() for each in PLANS]),
)


def expected(server, rows):
    """What ``/predict`` answers: labels and probabilities."""
    told = httpx.post(server.url + "/predict", json={"instances": rows}).json()["predictions"]
    return (
        [each["label"].encode() for each in told],
        [list(each["probabilities"].values()) for each in told],
    )


def rows(**columns):
    names = {"visits": VISITS, "plan": PLANS, **columns}
    return [dict(zip(names, row, strict=True)) for row in zip(*names.values(), strict=True)]


def same(answer, told) -> None:
    assert answer.as_numpy("label").tolist() == told[0]
    assert answer.as_numpy("probabilities") == pytest.approx(np.array(told[1]))


# Health and metadata


def test_health_and_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("churn")
    assert client.is_model_ready("churn", "1.2.0")
    about = client.get_server_metadata()
    assert (about.name, about.version, list(about.extensions)) == (
        "churn", "1.2.0", ["binary_tensor_data"],
    )  # fmt: skip
    model = client.get_model_metadata("churn")
    assert (model.name, list(model.versions), model.platform) == ("churn", ["1.2.0"], "mlpack_onnx")
    assert [(each.name, each.datatype, list(each.shape)) for each in model.inputs] == [
        ("age", "FP64", [-1]),
        ("visits", "INT64", [-1]),
        ("plan", "BYTES", [-1]),
        ("vip", "BOOL", [-1]),
        ("note", "BYTES", [-1]),
    ]
    assert [(each.name, each.datatype, list(each.shape)) for each in model.outputs] == [
        ("label", "BYTES", [-1]),
        ("probabilities", "FP64", [-1, 2]),
    ]


@pytest.mark.parametrize("name", ["x", "churn "])
def test_other_models_are_not_there(client, name):
    for ask in (client.is_model_ready, client.get_model_metadata):
        with pytest.raises(InferenceServerException, match="there is no model") as refused:
            ask(name)
        assert refused.value.status() == str(Code.NOT_FOUND)
    with pytest.raises(InferenceServerException) as refused:
        client.infer(name, base())
    assert refused.value.status() == str(Code.NOT_FOUND)
    with pytest.raises(InferenceServerException) as refused:
        client.infer("churn", base(), model_version="2")
    assert refused.value.status() == str(Code.NOT_FOUND)


def test_what_the_protocol_has_not_is_unimplemented(client):
    with pytest.raises(InferenceServerException) as refused:
        client.get_model_config("churn")
    assert refused.value.status() == str(Code.UNIMPLEMENTED)


# Predictions


def test_numbers_and_strings(server, client):
    answer = client.infer("churn", base(), request_id="a-1", model_version="1.2.0")
    same(answer, expected(server, ROWS))
    told = answer.get_response()
    assert (told.model_name, told.model_version, told.id) == ("churn", "1.2.0", "a-1")
    assert told.outputs[0].parameters["content_type"].string_param == "str"


def test_one_row(server, client):
    inputs = [tensor("visits", "INT64", [5], [1, 1]), tensor("plan", "BYTES", ["pro"], [1, 1])]
    same(client.infer("churn", inputs), expected(server, ROWS[:1]))


@pytest.mark.parametrize("datatype", ["FP64", "FP32"])
def test_missing_numbers(server, client, datatype):
    inputs = [*base(), tensor("age", datatype, [42.5, np.nan, 13.5])]
    rows_of = rows(age=[42.5, None, 13.5])
    with pytest.raises(InferenceServerException) as refused:
        client.infer("churn", [*base(), tensor("age", datatype, [42.5, np.nan, 13.0])])
    assert "row 2: expected a row that the original" in refused.value.message()
    same(client.infer("churn", inputs), expected(server, rows_of))


def test_missing_booleans_and_texts(server, client):
    inputs = [
        *base(),
        tensor("vip", "FP64", [1.0, np.nan, 0.0]),
        tensor("note", "BYTES", ["None", "ho", "é".encode()]),
    ]
    with pytest.raises(InferenceServerException) as refused:
        client.infer("churn", inputs)
    assert "row 0, note:" in refused.value.message()
    assert "row 2, note:" in refused.value.message()
    inputs[-1] = tensor("note", "BYTES", ["None", "ho", "hi"])
    answer = client.infer("churn", inputs, parameters={"missing": "None"})
    same(answer, expected(server, rows(vip=[True, None, False], note=[None, "ho", "hi"])))


def test_requested_outputs_in_their_order(server, client):
    wanted = [triton.InferRequestedOutput("probabilities"), triton.InferRequestedOutput("label")]
    answer = client.infer("churn", base(), outputs=wanted)
    assert [each.name for each in answer.get_response().outputs] == ["probabilities", "label"]
    same(answer, expected(server, ROWS))
    answer = client.infer("churn", base(), outputs=wanted[1:])
    assert answer.as_numpy("probabilities") is None
    with pytest.raises(InferenceServerException, match="there is no output") as refused:
        client.infer("churn", base(), outputs=[triton.InferRequestedOutput("x")])
    assert refused.value.status() == str(Code.INVALID_ARGUMENT)


@pytest.mark.parametrize(
    ("more", "columns"),
    [
        ((), {}),
        ((typed("age", "FP64", "fp64_contents", [42.5, np.nan, 14.0]),), {"age": [42.5, None, 14]}),
        ((typed("age", "FP32", "fp32_contents", [42.5, np.nan, 14.0]),), {"age": [42.5, None, 14]}),
        ((typed("age", "INT8", "int_contents", [42, -1, 14]),), {"age": [42, -1, 14]}),
        ((typed("age", "UINT64", "uint64_contents", [42, 1, 14]),), {"age": [42, 1, 14]}),
        (
            (typed("vip", "BOOL", "bool_contents", [True, False, True]),),
            {"vip": [True, False, True]},
        ),
    ],
)
def test_typed_contents(server, stub, more, columns):
    request = pb.ModelInferRequest(model_name="churn", inputs=[*TYPED, *more])
    over_http = [
        {
            "name": each.name,
            "shape": list(each.shape),
            "datatype": each.datatype,
            "data": [
                value.decode() if isinstance(value, bytes) else None if value != value else value
                for ((_, found),) in [each.contents.ListFields()]
                for value in found
            ],
        }
        for each in request.inputs
    ]
    told = httpx.post(server.url + "/v2/models/churn/infer", json={"inputs": over_http})
    if told.status_code != 200:  # the author's constraints: at least 0 years
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(request)
        assert refused.value.code() is Code.INVALID_ARGUMENT
        assert "row 1, age: " in refused.value.details()
        assert columns["age"][1] < 0
        return
    same(triton.InferResult(stub.ModelInfer(request)), expected(server, rows(**columns)))


def test_many_rows_are_answered_beside_the_loop(server, client):
    # Above the size up to which requests are answered on the event loop.
    count = 5_100
    inputs = [
        tensor("visits", "INT64", np.arange(count) % 7),
        tensor("plan", "BYTES", ["pro", "basic", "x"] * (count // 3)),
    ]
    answer = client.infer("churn", inputs)
    told = expected(
        server,
        [{"visits": n % 7, "plan": ["pro", "basic", "x"][n % 3]} for n in range(count)],
    )
    same(answer, told)


def test_many_calls_at_once(both):
    async def ask():
        async with triton_aio.InferenceServerClient(both[1]) as client:
            return await asyncio.gather(
                *(client.infer("churn", base(), request_id=str(number)) for number in range(200))
            )

    told = asyncio.run(ask())
    assert [each.get_response().id for each in told] == [str(number) for number in range(200)]
    right = expected(both[0], ROWS)
    for answer in told:
        same(answer, right)


# What is refused


def test_ids_and_details_of_a_refusal(stub):
    given = (("x-request-id", "r-1"), ("traceparent", "00-" + "1" * 32 + "-" + "2" * 16 + "-01"))
    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelInfer(pb.ModelInferRequest(model_name="churn", inputs=TYPED[:1]), metadata=given)
    assert refused.value.code() is Code.INVALID_ARGUMENT
    assert refused.value.details().splitlines()[0] == "3 values cannot be accepted"
    assert "row 0, plan: expected " in refused.value.details()
    assert dict(refused.value.trailing_metadata())["x-request-id"] == "r-1"
    _, call = stub.ModelInfer.with_call(
        pb.ModelInferRequest(model_name="churn", inputs=TYPED), metadata=given
    )
    assert dict(call.trailing_metadata())["x-request-id"] == "r-1"


def test_many_refusals_are_told_in_short(stub):
    values = [-1] * 300
    columns = [
        typed("visits", "INT64", "int64_contents", values),
        typed("plan", "BYTES", "bytes_contents", ["é\n".encode() * 30] * 300),
        typed("note", "BYTES", "bytes_contents", ["É".encode() * 30] * 300),
    ]
    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelInfer(pb.ModelInferRequest(model_name="churn", inputs=columns))
    assert refused.value.code() is Code.INVALID_ARGUMENT
    assert refused.value.details().startswith("300 values cannot be accepted, the first 100")


def test_bytes_that_are_no_message(both):
    with grpc.insecure_channel(both[1]) as channel:
        for method in ("ModelInfer", "ModelReady", "ModelMetadata"):
            ask = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
            with pytest.raises(grpc.RpcError, match="cut off") as refused:
                ask(b"\x0a\x7fchurn")
            assert refused.value.code() is Code.INVALID_ARGUMENT


def test_a_message_above_the_limit(stub):
    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelInfer(pb.ModelInferRequest(raw_input_contents=[b" " * 250_000]))
    assert refused.value.code() is Code.RESOURCE_EXHAUSTED


def test_nothing_is_decompressed(both):
    with grpc.insecure_channel(both[1], compression=grpc.Compression.Gzip) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(pb.ModelInferRequest(raw_input_contents=[b" " * 50_000]))
    assert refused.value.code() is Code.UNIMPLEMENTED


def test_a_message_that_does_not_come(both):
    server, address = both
    waiting = threading.Event()

    def nothing():
        waiting.wait(20)
        yield b""

    with grpc.insecure_channel(address) as channel:
        ask = channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
        start = time.monotonic()
        with pytest.raises(grpc.RpcError, match="took longer than 1 seconds") as refused:
            ask(nothing(), timeout=15)
        waiting.set()
        assert time.monotonic() - start < 10
        assert refused.value.code() is Code.DEADLINE_EXCEEDED
        with pytest.raises(grpc.RpcError) as refused:
            ask(iter(()), timeout=15)
        assert refused.value.code() is Code.CANCELLED
    assert figure(server, "mlpack_requests_active") == 1  # who asks for it


def figure(server, name) -> float:
    text = httpx.get(server.url + "/metrics").text
    return sum(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)
    )


def test_calls_are_counted(server, client):
    series = f'mlpack_requests_total{{route="{INFER}",status="'
    before = [figure(server, series + status) for status in ("200", "422")]
    answered = figure(server, "mlpack_rows_total")
    client.infer("churn", base())
    with pytest.raises(InferenceServerException):
        client.infer("churn", base()[:1])
    after = [figure(server, series + status) for status in ("200", "422")]
    assert after == [each + 1 for each in before]
    assert figure(server, "mlpack_rows_total") == answered + 3
    assert figure(server, f'mlpack_request_seconds_count{{route="{INFER}"}}') >= 2


def test_it_is_no_path_of_http(server):
    for target in (b"grpc%20ModelInfer", b"/grpc%20ModelInfer", b"grpc ModelInfer"):
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            connection.sendall(
                b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                b"Content-Length: 0\r\n\r\n"
            )
            assert connection.recv(4096).split(b" ")[1] in (b"400", b"404")


# Keys


def test_who_calls_too_often_is_told_so(root):
    with (
        served(root, MLPACK_RATE_LIMIT="2") as (_, address),
        closing(triton.InferenceServerClient(address)) as client,
    ):
        for _ in range(2):
            client.infer("churn", base())
        with pytest.raises(InferenceServerException, match="more than 2 requests a second") as told:
            client.infer("churn", base())
        assert told.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_https_means_tls_here_too(root, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert)
    subprocess.run((*made, *names), check=True, capture_output=True)
    with served(root, MLPACK_TLS_CERT=str(cert), MLPACK_TLS_KEY=str(key)) as (_, address):
        trusted = triton.InferenceServerClient(address, ssl=True, root_certificates=str(cert))
        with closing(trusted) as client:
            assert client.is_server_live()
            client.infer("churn", base())
        plain = triton.InferenceServerClient(address)
        with closing(plain), pytest.raises(InferenceServerException):
            plain.is_server_live(client_timeout=5)


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("ipv4:127.0.0.1:50000", ("127.0.0.1", 50000)),
        ("ipv6:%5B::1%5D:50000", ("::1", 50000)),
        ("unix:", ("", 0)),
        ("", ("", 0)),
    ],
)
def test_who_calls(peer, client):
    assert _client(peer) == client


def test_keys(root):
    with (
        served(root, MLPACK_API_KEYS="one,two") as (_, address),
        closing(triton.InferenceServerClient(address)) as client,
    ):
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("churn")
        wrong = [{}, {"authorization": "Bearer three"}, {"authorization": "one"}, {"x-api-key": ""}]
        for headers in wrong:
            for ask in (
                lambda given: client.infer("churn", base(), headers=given),
                lambda given: client.get_model_metadata("churn", headers=given),
                lambda given: client.get_server_metadata(headers=given),
            ):
                with pytest.raises(InferenceServerException) as refused:
                    ask(headers)
                assert refused.value.status() == str(Code.UNAUTHENTICATED)
        for headers in ({"authorization": "Bearer one"}, {"x-api-key": "two"}):
            assert client.infer("churn", base(), headers=headers).as_numpy("label").size == 3
            assert client.get_model_metadata("churn", headers=headers).name == "churn"


# Slow models, and the end


def slow(name="churn", **more):
    return pb.ModelInferRequest(
        model_name=name, inputs=[typed("a", "FP64", "fp64_contents", [21.0])], **more
    )


def test_a_slow_model_sheds_load(sleepy):
    with (
        served(sleepy, MLPACK_WAIT_SECONDS="0", MLPACK_MAX_BATCH="1") as (server, address),
        grpc.insecure_channel(address) as channel,
    ):
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        stub.ModelInfer(slow())
        calls = [stub.ModelInfer.future(slow(id=str(number))) for number in range(30)]
        codes = [call.code() for call in calls]
        assert set(codes) == {Code.OK, Code.UNAVAILABLE}
        for call in calls:
            if call.code() is Code.OK:
                assert np.frombuffer(call.result().raw_output_contents[0]) == [42.0]
        # Who leaves is counted as over HTTP, and leaves the line.
        with pytest.raises(grpc.RpcError) as left:
            stub.ModelInfer(slow(), timeout=0.005)
        assert left.value.code() is Code.DEADLINE_EXCEEDED
        gone = f'mlpack_requests_total{{route="{INFER}",status="499"'
        for _ in range(50):
            if figure(server, gone):
                break
            time.sleep(0.05)
        assert figure(server, gone) == 1
        assert figure(server, "mlpack_requests_active") == 1
        assert not [line for line in server.lines if "Traceback" in line]


def _await_calls(server, count):
    """Wait until so many calls have come, be they answered or not."""
    for _ in range(500):
        lines = httpx.get(server.url + "/metrics").text.splitlines()
        figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        done = figures.get('mlpack_requests_total{route="grpc ModelInfer",status="200"}', 0)
        # Whoever asks for the figures is in work too.
        if float(done) + float(figures["mlpack_requests_active"]) > count:
            return
        time.sleep(0.02)
    raise AssertionError(figures)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(sleepy, number):
    # Calls that wait for a slow model when the signal comes are answered; then there is no server.
    with (
        served(sleepy, MLPACK_MAX_BATCH="1", MLPACK_WAIT_SECONDS="10") as (server, address),
        grpc.insecure_channel(address) as channel,
        ThreadPoolExecutor() as pool,
    ):
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        stub.ModelInfer(slow())
        calls = [stub.ModelInfer.future(slow(id=str(place))) for place in range(100)]
        calls[0].result()
        _await_calls(server, 1 + len(calls))
        stopped = pool.submit(server.stop, number)
        if number == signal.SIGTERM:
            time.sleep(0.3)
            assert not stub.ServerReady(pb.ServerReadyRequest()).ready
            assert stub.ServerLive(pb.ServerLiveRequest()).live
            calls.append(stub.ModelInfer.future(slow(id="100")))  # it lingers
        told = [call.result().id for call in calls]
        assert told == [str(place) for place in range(len(calls))]
        assert stopped.result() == 0
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(slow())
        assert refused.value.code() is Code.UNAVAILABLE
        assert not [line for line in server.lines if "Traceback" in line]


def test_who_calls_on_is_told_to_go_elsewhere(root):
    # Every answer arrives, and who is not answered is told by the code that clients retry.
    request = pb.ModelInferRequest(model_name="churn", inputs=TYPED)

    def call(address) -> tuple[int, grpc.StatusCode]:
        own = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(address, options=own) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            for answered in range(1_000_000):
                try:
                    stub.ModelInfer(request, timeout=20)
                except grpc.RpcError as error:
                    return answered, error.code()
        raise AssertionError("there is no end")

    with served(root, MLPACK_LINGER_SECONDS="0") as (server, address), ThreadPoolExecutor() as pool:
        calling = [pool.submit(call, address) for _ in range(4)]
        time.sleep(0.5)
        assert server.stop() == 0
        told = [each.result() for each in calling]
        logged = [line for line in server.lines if INFER in line and '"status":200' in line]
    assert len(logged) == sum(answered for answered, _ in told)
    assert {code for _, code in told} == {Code.UNAVAILABLE}


def test_a_drain_has_an_end(sleepy):
    with (
        served(
            sleepy,
            MLPACK_MAX_BATCH="1",
            MLPACK_WAIT_SECONDS="60",
            MLPACK_DRAIN_SECONDS="1",
            MLPACK_LINGER_SECONDS="0",
        ) as (server, address),
        grpc.insecure_channel(address) as channel,
    ):
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        stub.ModelInfer(slow())
        calls = [stub.ModelInfer.future(slow()) for _ in range(400)]  # eight seconds
        calls[0].result()
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 5
        assert {call.code() for call in calls} - {Code.OK}


def test_several_workers(root):
    # Both listen on the port: ids that the server makes up begin with the worker's own letters.
    request = pb.ModelInferRequest(model_name="churn", inputs=TYPED)
    own = [("grpc.use_local_subchannel_pool", 1)]
    with served(root, "--workers", "2") as (server, address):
        for _ in range(100):
            if figure(server, "mlpack_workers") == 2:
                break
            time.sleep(0.1)
        workers = set()
        for _ in range(40):
            with grpc.insecure_channel(address, options=own) as channel:
                stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
                answer, call = stub.ModelInfer.with_call(request, wait_for_ready=True, timeout=20)
                assert answer.outputs[0].shape == [3]
                workers.add(dict(call.trailing_metadata())["x-request-id"].partition("-")[0])
        assert len(workers) == 2
        assert figure(server, f'mlpack_requests_total{{route="{INFER}",status="200"') == 40
        assert server.stop() == 0
        assert not [line for line in server.lines if "Traceback" in line]


# Switching it on


def start(root, **environ):
    """What a server says that does not start, and its exit code."""
    ended = subprocess.run(
        [sys.executable, "-m", "churn", "serve", "--port", "0"],
        env={"PYTHONPATH": str(root), **environ},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stderr


def test_without_grpcio_the_server_says_what_to_install(root, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['grpc'] = None\n")
    code, told = start(root, PYTHONPATH=f"{tmp_path}:{root}", MLPACK_GRPC_PORT=str(free_port()))
    assert code == 3
    assert "pip install grpcio" in told
    assert len(told.splitlines()) == 1
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        with (
            pytest.raises(SettingsError, match="pip install grpcio"),
            reserved(free_port(), listener, lambda _: None),
        ):
            pass


def test_a_port_that_is_taken(root):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, told = start(root, MLPACK_GRPC_PORT=str(taken.getsockname()[1]))
    assert code == 4
    assert "MLPACK_GRPC_PORT" in told


def test_the_port_of_another_server(both, root):
    code, told = start(root, MLPACK_GRPC_PORT=both[1].rpartition(":")[2])
    assert code == 4
    assert "MLPACK_GRPC_PORT" in told


def test_a_port_is_free_again(tmp_path):
    port = free_port()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        for _ in range(2):
            with (
                reserved(port, listener),
                pytest.raises(ServerError, match=str(port)),
                reserved(port, listener),
            ):
                pass
        with reserved(0, listener):
            assert made(None, Settings(), listener) is None


def test_off_it_costs_nothing(root, churn):
    assert not [path for path in App(churn, Settings()).paths if "grpc" in path]
    source = (
        "import sys, socket\n"
        "from churn._mlpack import calls, server\n"
        "from churn._mlpack.app import App\n"
        "from churn._mlpack.model import Model\n"
        "from churn._mlpack.settings import Settings\n"
        "app = App(Model(), Settings())\n"
        "with socket.socket() as listener:\n"
        "    listener.bind(('127.0.0.1', 0))\n"
        "    with calls.reserved(0, listener):\n"
        "        assert calls.made(app, Settings(), listener) is None\n"
        "print([name for name in sys.modules if 'grpc' in name or 'protobuf' in name])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", source],
        env={"PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stdout == "[]\n", ended.stderr


def test_protobuf_is_not_needed(root):
    source = (
        "import sys\n"
        "sys.modules['google'] = sys.modules['google.protobuf'] = None\n"
        "import churn._mlpack.grpc_server\n"
    )
    subprocess.run(
        [sys.executable, "-c", source], env={"PYTHONPATH": str(root)}, cwd=root, check=True
    )


@pytest.mark.parametrize("port", ["-1", "x", "65536"])
def test_ports_that_cannot_be(port):
    with pytest.raises(SettingsError, match="MLPACK_GRPC_PORT"):
        from_environment({"MLPACK_GRPC_PORT": port})


def test_one_port_is_not_for_both():
    with pytest.raises(SettingsError, match="HTTP"):
        from_environment({"MLPACK_GRPC_PORT": "9000", "PORT": "9000"})
    assert from_environment({"MLPACK_GRPC_PORT": "9000"}).grpc_port == 9000


# In one process


def test_routes(churn):
    app = App(churn, Settings(grpc_port=9000, max_rows=50, keys=("k",)))
    assert {route_of(method) for method in METHODS} < app.paths
    assert INFER not in app.asked
    assert INFER.encode() not in app.at_once_urls
    key = [(b"x-api-key", b"k")]
    body = pb.ModelInferRequest(model_name="churn", inputs=TYPED).SerializeToString()
    assert post(app, INFER, body).status == 401
    answer = post(app, INFER, body, key)
    assert answer.type == b"application/grpc+proto"
    assert pb.ModelInferResponse.FromString(answer.body).outputs[0].name == "label"
    assert get(app, INFER, headers=key).status == 405
    many = typed("visits", "INT64", "int64_contents", [1] * 51)
    plans = typed("plan", "BYTES", "bytes_contents", [b"pro"] * 51)
    body = pb.ModelInferRequest(model_name="churn", inputs=[many, plans]).SerializeToString()
    assert post(app, INFER, body, key).json["status"] == 413


def test_calls_have_spans(churn):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = App(churn, Settings(grpc_port=9000))
    traced = Tracing(app, provider, app.paths)
    body = pb.ModelInferRequest(model_name="churn", inputs=TYPED).SerializeToString()
    assert post(traced, INFER, body).status == 200
    for probe in ("ServerLive", "ServerReady", "ModelReady"):
        post(traced, route_of(probe), b"")
    assert [span.name for span in exporter.get_finished_spans()] == [f"POST {INFER}"]


def test_a_server_that_stops_is_not_ready(churn):
    app = App(churn, Settings(grpc_port=9000))
    named = pb.ModelReadyRequest(name="churn").SerializeToString()
    assert post(app, route_of("ServerReady"), b"").body == b"\x08\x01"
    assert post(app, route_of("ModelReady"), named).body == b"\x08\x01"
    app.drain()
    assert post(app, route_of("ServerLive"), b"").body == b"\x08\x01"
    assert post(app, route_of("ServerReady"), b"").body == b""
    assert post(app, route_of("ModelReady"), named).body == b""
