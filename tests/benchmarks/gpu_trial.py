"""What a GPU gives: our loop against torchvision's reference loop, and both against what the device can do.

    python tests/benchmarks/gpu_trial.py --data DIR --backbone resnet50 --json gpu_trial.json

Prints, for nothing frozen and real decoded pixels: images per second of the reference loop (AMP, channels-last,
DataLoader) and of ours, the share of the device's bf16 peak, peak memory against what autograd must keep; and for a
cached prefix of 80 % of the units: steps per second against the floor. Says so and ends well without a GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "4090": 165e12, "A10": 125e12}
"""Dense bf16 operations a second, by a part of the device's name, from NVIDIA's data sheets."""


def waited(device: str) -> None:
    """Wait for what ``device`` has still to do."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def images_a_second(
    step: Callable[[Any, Any], Any], batches: Callable[[], Iterable[Any]], seconds: float, device: str
) -> float:
    """Return the images per second of ``step`` over passes of ``batches``, after one pass to warm up."""
    for images, labels in batches():
        step(images, labels)
    waited(device)
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        for images, labels in batches():
            step(images, labels)
            count += len(labels)
        waited(device)
    return count / (time.perf_counter() - begin)


def reference(job: Any, workers: int, device: str) -> tuple[Callable[[Any, Any], Any], Callable[[], Iterable[Any]]]:
    """Return torchvision's training step (references/classification) with AMP and channels-last, and its loader."""
    import torch
    import trial_cost
    from torch import nn
    from torch.utils.data import DataLoader

    data, _, classes = trial_cost._tutorial_data(job)
    pins, stays = device == "cuda", workers > 0
    loader = DataLoader(
        data, job.batch_size, shuffle=True, num_workers=workers, pin_memory=pins, persistent_workers=stays
    )
    model = trial_cost._tutorial_model(job, 0, classes).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    criterion = nn.CrossEntropyLoss()

    def step(images: Any, labels: Any) -> None:
        images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
        labels = labels.to(device, non_blocking=True)
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = criterion(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, lambda: loader


def ours(job: Any, depth: int) -> tuple[Callable[[Any, Any], Any], Callable[[], Iterable[Any]], Any]:
    """Return our training step, our batches, and the network."""
    import trial_cost

    from search.records.study import Verdict
    from search.training.epoch import Step
    from search.training.out_of_memory import MicroBatches

    opened, candidate = trial_cost.runtime(job), trial_cost.candidate_of(job, depth)
    network = opened.build(candidate, 0)
    plan = opened.plan(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    optimizer, schedule = plan.optimize(network, 10_000)
    memory, penalties = MicroBatches(), plan.penalties(network)
    step = Step(network, plan.loss, penalties, optimizer, schedule, plan.precision, memory, plan.forward)
    network.train()
    return step.run, lambda: plan.train.epoch(1), network


def floor(job: Any, network: Any, batches: Iterable[Any]) -> tuple[Callable[[Any, Any], Any], list[Any]]:
    """Return forward and backward of the suffix alone, and its inputs on the device."""
    import torch
    import trial_cost

    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1e-3, momentum=0.9, fused=True)
    autocast = trial_cost.runtime(job).precision.autocast

    def step(features: Any, labels: Any) -> None:
        with autocast():
            loss = torch.nn.functional.cross_entropy(network.suffix(features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, list(batches)


def kept_by_autograd(job: Any, network: Any, images: Any) -> int:
    """Return the bytes that autograd keeps for one forward pass: every saved tensor once, parameters left out."""
    import torch
    import trial_cost

    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    precision = trial_cost.runtime(job).precision
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), precision.autocast():
        network(precision.place(images)).sum()
    return sum(kept.values())


def measure(job: Any, seconds: float, workers: int, device: str) -> dict[str, Any]:
    """Return every figure of this benchmark."""
    import torch
    import trial_cost

    trial_cost.runtime(job).decode()
    is_gpu = device == "cuda"
    name = torch.cuda.get_device_name() if is_gpu else device
    their_step, loader = reference(job, workers, device)
    theirs = images_a_second(their_step, loader, seconds, device)
    step, batches, network = ours(job, 0)
    if is_gpu:
        torch.cuda.reset_peak_memory_stats()
    mine = images_a_second(step, batches, seconds, device)
    peak_memory = torch.cuda.max_memory_allocated() if is_gpu else None
    images, _ = next(iter(batches()))
    size = trial_cost.runtime(job).size(network)
    peak = next((peak for part, peak in PEAKS.items() if part in name), None)
    depth = round(0.8 * len(network.chain))
    behind_step, behind, behind_network = ours(job, depth)
    cached = images_a_second(behind_step, behind, seconds, device)
    floor_step, ready = floor(job, behind_network, behind())
    lowest = images_a_second(floor_step, lambda: ready, seconds, device)
    return {
        "device": name,
        "reference_images_a_second": theirs,
        "images_a_second": mine,
        "ratio": mine / theirs,
        "share_of_bf16_peak": 3 * size.flops * mine / peak if peak else None,
        "peak_bytes": peak_memory,
        "autograd_bytes": kept_by_autograd(job, network, images),
        "frozen_units": depth,
        "cached_steps_a_second": cached / job.batch_size,
        "floor_steps_a_second": lowest / job.batch_size,
        "floor_ratio": lowest / cached,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="an image folder: train/ and val/, or a folder per class")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--weights", default="none", help="speed does not depend on them")
    parser.add_argument("--input", type=int, default=224)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--workers", type=int, default=8, help="of the reference loop's DataLoader")
    parser.add_argument("--seconds", type=float, default=10.0, help="that each figure is measured for")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a rehearsal")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    import torch
    import trial_cost

    if given.device == "cuda" and not torch.cuda.is_available():
        print("no GPU here: nothing measured")
        return
    job = trial_cost.Job(given.data, given.backbone, given.weights, 3, given.batch, given.input, "auto", trials=1)
    found = measure(job, given.seconds, given.workers, given.device)
    for name, value in found.items():
        print(f"{name:>28}  {value:.4g}" if isinstance(value, float) else f"{name:>28}  {value}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
