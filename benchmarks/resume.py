"""`resume`: from the click to a suspended JupyterLab that answers again, on the bare engine and in Berth."""

import time

from benchmarks import berth
from benchmarks.engine import Engine
from benchmarks.launch import BERTH, RAW, TEMPLATE, Workspaces, settings
from benchmarks.raw_engine import RawEngine
from benchmarks.rounds import Result, take_turns


def measure(rounds: int) -> Result:
    engine = Engine()
    with engine.cleared_afterwards(), berth.running(settings(engine)) as own:
        own.wait_for_image(TEMPLATE)
        workspaces = Workspaces(own, engine)
        raw = RawEngine(engine, workspaces.example())
        workspaces.launch()
        raw.launch()
        contenders = {RAW: lambda: _seconds(raw), BERTH: lambda: _seconds(workspaces)}
        samples = take_turns(contenders, rounds)
    versions = {"Docker": engine.version()}
    return Result("resume", "Resume to a JupyterLab that answers", "seconds", RAW, samples, versions)


def _seconds(suspended: RawEngine | Workspaces) -> float:
    suspended.suspend()
    began = time.perf_counter()
    suspended.resume()
    return time.perf_counter() - began
