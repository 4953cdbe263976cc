"""WebSocket beside TCP: what it costs each model, what it costs the load generator, and another server under it.

    python -m benchmarks websocket [--rounds 7] [--seconds 1.5]

64 connections, 64 bytes, closed load; of the models a fresh server for every figure. Over both transports the client is
the C client, and the 80 bytes of a message are the same: over WebSocket they are in a masked frame of 6 bytes more, the
reply in one of 2 bytes more. Its client begins when all handshakes are done. The one of TCP has no warm-up, so `fork`
is measured three times as long as the others, as in `models`.

**Beside another server** every server gives back what it gets: our `asyncio` without the subprotocol (then it does not
look into messages), and the asyncio server of the `websockets` package with an echo handler.

**The load generator's ceiling** is what it reaches against the C server of each transport, beside the C clients on the
same servers.
"""

from __future__ import annotations

from functools import partial

from benchmarks import pairs, programs

MODELS_LEAST = {"asyncio": 0.45, "selectors": 0.45}
CEILING_LEAST = 0.6
TRANSPORTS = ("tcp", "ws")
SHAPE = ("--connections", "64", "--payload", "64")
PEER = "websockets' asyncio server"
PLAIN = "asyncio over ws, plain echo"


def run(rounds: int, seconds: float) -> str:
    """Measure and return the tables as Markdown."""
    texts = [programs.header("Servers under the reference clients over TCP and WebSocket, 64 connections, 64 bytes")]
    texts += [_model(model, rounds, seconds) for model in programs.MODELS]
    texts += [programs.header("A plain echo over WebSocket under the reference client, 64 connections, 64 bytes")]
    texts += [_beside_another(rounds, seconds)]
    texts += [programs.header("Load generator against the C server of each transport, 64 connections, 64 bytes")]
    texts += [_ceilings(rounds, seconds)]
    return "\n".join(texts)


def _model(model: str, rounds: int, seconds: float) -> str:
    long = 3 * seconds if model == "fork" else seconds
    figures = pairs.alternate(
        {
            f"{model} over {transport}": partial(
                _measure, programs.our_server(model, transport=transport), long, transport
            )
            for transport in TRANSPORTS
        },
        rounds,
    )
    ratio = pairs.ratio(figures, f"{model} over ws", f"{model} over tcp")
    return pairs.table(figures, [(ratio, MODELS_LEAST.get(model))]) + "\n"


def _beside_another(rounds: int, seconds: float) -> str:
    commands = {PLAIN: programs.our_server("asyncio", transport="ws"), PEER: programs.peer("websockets_echo")}
    variants = {name: partial(_measure, command, seconds, "ws", raw=True) for name, command in commands.items()}
    figures = pairs.alternate(variants, rounds)
    return pairs.table(figures, [(pairs.ratio(figures, PLAIN, PEER), None)]) + "\n"


def _measure(command: list[str], seconds: float, transport: str, *, raw: bool = False) -> float:
    with programs.server(command) as ready:
        return _reference(int(ready["port"]), seconds, transport, raw=raw)


def _ceilings(rounds: int, seconds: float) -> str:
    tcp, ws = (programs.reference_server(transport) for transport in TRANSPORTS)
    with programs.server(tcp) as tcp_ready, programs.server(ws) as ws_ready:
        ports = {"tcp": int(tcp_ready["port"]), "ws": int(ws_ready["port"])}
        generator = {transport: f"load generator over {transport}" for transport in TRANSPORTS}
        reference = {"tcp": "echo_client.c", "ws": "ws_client.c"}
        figures = pairs.alternate(
            {
                **{generator[name]: partial(_generated, port, seconds, name) for name, port in ports.items()},
                **{reference[name]: partial(_reference, port, seconds, name) for name, port in ports.items()},
            },
            rounds,
        )
    ratios: list[tuple[pairs.Ratio, float | None]] = [
        (pairs.ratio(figures, generator["ws"], generator["tcp"]), CEILING_LEAST),
        (pairs.ratio(figures, reference["ws"], reference["tcp"]), None),
        (pairs.ratio(figures, generator["ws"], reference["ws"]), None),
    ]
    return pairs.table(figures, ratios)


def _generated(port: int, seconds: float, transport: str) -> float:
    record = programs.load_generator(port, seconds, "--warmup", "0.5", *SHAPE, transport=transport)
    window = record["windows"][0]
    assert window["errors"] == {}
    assert window["unanswered"] == 0
    return float(window["throughput_per_s"])


def _reference(port: int, seconds: float, transport: str, *, raw: bool = False) -> float:
    return float(programs.reference_load(port, seconds, transport=transport, raw=raw)["throughput_per_s"])
