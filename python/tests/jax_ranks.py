# SPDX-License-Identifier: Apache-2.0
"""Processes of a JAX job on this machine's CPU, each with some devices, started afresh."""

import multiprocessing
import os
import socket
import traceback

_spawn = multiprocessing.get_context("spawn")
_TIMEOUT_S = 300


def _main(function, rank, world, devices, address, pipe, arguments):
    os.environ.update(JAX_PLATFORMS="cpu", TF_CPP_MIN_LOG_LEVEL="3",
                      XLA_FLAGS=f"--xla_force_host_platform_device_count={devices}")
    try:
        import jax

        if world > 1:
            jax.distributed.initialize(address, world, rank)
        pipe.send(("result", function(**arguments)))
        if world > 1:
            jax.distributed.shutdown()
    except BaseException:
        pipe.send(("error", traceback.format_exc()))
        os._exit(1)


def run_job(function, world=1, devices=4, sockets=(), **arguments):
    """function(socket=, **arguments) in `world` processes; what each returned, in their order."""
    # Held until the end: between a close and JAX's own bind, seconds later, any connection of this
    # machine might be given the port. gRPC listens beside it, as it binds with SO_REUSEPORT.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{held.getsockname()[1]}"
    pipes, processes = [], []
    for rank in range(world):
        mine, theirs = _spawn.Pipe()
        process = _spawn.Process(target=_main, daemon=True, args=(
            function, rank, world, devices, address, theirs,
            {**arguments, "socket": sockets[rank % len(sockets)]}))
        process.start()
        theirs.close()
        pipes.append(mine)
        processes.append(process)
    try:
        results = []
        for rank, pipe in enumerate(pipes):
            if not pipe.poll(_TIMEOUT_S):
                raise AssertionError(f"process {rank} says nothing")
            kind, value = pipe.recv()
            assert kind == "result", f"process {rank}: {value}"
            results.append(value)
        for process in processes:
            process.join(_TIMEOUT_S)
        return results
    finally:
        held.close()
        for process in processes:
            if process.is_alive():
                process.kill()
                process.join()
