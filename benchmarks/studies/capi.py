#!/usr/bin/env python3
"""A study: what serving a graph costs through ONNX Runtime's C API, without numpy and the module.

``docs/study-capi.md`` has the figures and what they mean. The wheel of onnxruntime brings
``libonnxruntime.so`` beside the extension module; this calls it through ctypes, with buffers of the
standard library, and compares the same graph, row and options through the Python binding. Both run
in processes of their own, in turns, in the environment of a built penguins wheel.
"""

from __future__ import annotations

import gzip
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve()
ROUNDS, RUNS = 7, 20_000
NUMBERS, CODES = (46.1, 13.2, 211.0, 4500.0), (0, 1)


def by_c_api(library: str, model: bytes):
    """A function that runs the graph once, and where its answers are.

    The places in the table of functions are those of ``OrtApi`` in onnxruntime_c_api.h, which only
    ever grows at its end.
    """
    import ctypes as c

    loaded = c.CDLL(library)
    loaded.OrtGetApiBase.restype = c.POINTER(c.c_void_p)
    get_api = c.CFUNCTYPE(c.POINTER(c.c_void_p), c.c_uint32)(loaded.OrtGetApiBase()[0])
    table = get_api(17)
    pointer, out = c.c_void_p, c.POINTER(c.c_void_p)
    message = c.CFUNCTYPE(c.c_char_p, pointer)(table[2])

    def function(place, *kinds):
        called = c.CFUNCTYPE(pointer, *kinds)(table[place])

        def call(*values):
            if status := called(*values):
                raise RuntimeError(message(status).decode())

        return call, called

    def made(place, *values, kinds=()):
        found = pointer()
        function(place, *kinds, out)[0](*values, c.byref(found))
        return found

    environment = made(3, 3, b"study", kinds=(c.c_int, c.c_char_p))
    options = made(10)
    function(24, pointer, c.c_int)[0](options, 1)
    function(25, pointer, c.c_int)[0](options, 1)
    kinds = (pointer, c.c_char_p, c.c_size_t, pointer)
    session = made(8, environment, model, len(model), options, kinds=kinds)
    memory = made(69, 0, 0, kinds=(c.c_int, c.c_int))  # the device's allocator, default memory

    def tensor(array, shape, kind):
        sizes = (c.c_int64 * len(shape))(*shape)
        kinds = (pointer, pointer, c.c_size_t, c.POINTER(c.c_int64), c.c_size_t, c.c_int)
        place = c.cast(array, pointer)
        return made(49, memory, place, c.sizeof(array), sizes, len(shape), kind, kinds=kinds)

    numbers, codes = (c.c_double * len(NUMBERS))(), (c.c_int64 * len(CODES))()
    refused, label, shares = (c.c_bool * 1)(), (c.c_int64 * 1)(), (c.c_double * 3)()
    double, whole, boolean = 11, 7, 9
    values = [tensor(numbers, (1, len(NUMBERS)), double), tensor(codes, (1, len(CODES)), whole)]
    answers = [tensor(refused, (1,), boolean), tensor(label, (1,), whole)]
    answers.append(tensor(shares, (1, 3), double))
    inputs = (c.c_char_p * 2)(b"numbers", b"codes")
    names = (c.c_char_p * 3)(b"refused", b"label", b"probabilities")
    given, taken = (pointer * 2)(*values), (pointer * 3)(*answers)
    many = c.POINTER(c.c_char_p)
    kinds = (pointer, pointer, many, out, c.c_size_t, many, c.c_size_t, out)
    _, run = function(9, *kinds)

    def one():
        numbers[:] = NUMBERS
        codes[:] = CODES
        if status := run(session, None, inputs, given, 2, names, 3, taken):
            raise RuntimeError(message(status).decode())
        return label[0], shares[:]

    # What the function needs lives as long as it does.
    one.kept = (loaded, environment, options, memory, values, answers)
    return one


def by_module(model: bytes):
    """The same through the Python binding, as mlpack's server does."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model,
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=("MatMulScaleFusion",),
    )
    names = ["refused", "label", "probabilities"]

    def one():
        inputs = {"numbers": np.array([NUMBERS]), "codes": np.array([CODES])}
        _, label, shares = session.run(names, inputs)
        return int(label[0]), shares[0].tolist()

    return one


def child(kind: str, library: str, model: str) -> None:
    """One process: start, answer once, then many times; a line of JSON."""
    start = time.perf_counter()
    graph = Path(model).read_bytes()
    one = by_c_api(library, graph) if kind == "c" else by_module(graph)
    answer = one()
    first = time.perf_counter() - start
    memory = _resident()
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(RUNS // 5):
            one()
        times.append((time.perf_counter() - begin) / (RUNS // 5))
    told = {"first": first, "memory": memory, "row": statistics.median(times), "answer": answer}
    print(json.dumps(told))


def _resident() -> float:
    """Megabytes of this process that are in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


def _size(*paths: Path) -> float:
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    wanted = [file for file in files if file.is_file() and file.suffix != ".pyc"]
    return sum(file.stat().st_size for file in wanted) / 1e6


def _compressed(path: Path) -> float:
    return len(gzip.compress(path.read_bytes(), 6)) / 1e6


def main() -> None:
    """Print the table."""
    sys.path.insert(0, str(HERE.parent.parent))
    from serving import environments, projects

    name = sys.argv[1] if len(sys.argv) > 1 else "penguins-linear"
    built = projects.build(name, environments.default_cache())
    packages = next((built.environment / "lib").glob("python*/site-packages"))
    library = next((packages / "onnxruntime" / "capi").glob("libonnxruntime.so.*"))
    module = next((packages / "onnxruntime" / "capi").glob("onnxruntime_pybind11_state*.so"))
    model = packages / "penguins" / "_mlpack" / "data" / "model.onnx"
    python = built.environment / "bin" / "python"
    found: dict[str, list[dict]] = {"module": [], "c": []}
    for _ in range(ROUNDS):
        for kind, each in found.items():
            argv = [python, "-I", HERE, "child", kind, library, model]
            done = subprocess.run(argv, check=True, capture_output=True, text=True)
            each.append(json.loads(done.stdout))
    label, shares = found["c"][0]["answer"]
    other, others = found["module"][0]["answer"]
    if label != other or shares != others:
        sys.exit(f"they answer differently: {shares} and {others}")
    print(
        f"{name}, {library.name}, Python {sys.version.split()[0]}, {ROUNDS} rounds; answers equal"
    )
    rows = (
        ("first prediction, from import", "first", 1e3, "ms"),
        ("resident after the first", "memory", 1, "MB"),
        ("one row", "row", 1e6, "µs"),
    )
    for title, key, factor, unit in rows:
        values = [statistics.median(e[key] for e in found[kind]) * factor for kind in found]
        pairs = zip(found["c"], found["module"], strict=True)
        ratio = statistics.median(own[key] / theirs[key] for own, theirs in pairs)
        print(f"{title:32} module {values[0]:8.1f} {unit}  C {values[1]:8.1f} {unit}  {ratio:.2f}x")
    numpy = _size(packages / "numpy", *packages.glob("numpy.libs"))
    print(f"numpy {numpy:.1f} MB as installed, without bytecode")
    for path in (module, library):
        print(f"{path.name} {_size(path):.1f} MB, compressed {_compressed(path):.1f} MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
    else:
        main()
