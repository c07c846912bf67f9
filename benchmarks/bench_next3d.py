"""Times the Next3D generator by stage, on any device, and compares precisions.

    python benchmarks/bench_next3d.py                         # released size, CPU, float32
    python benchmarks/bench_next3d.py --precision fp32 bf16 --rays 128
    make gpu-check                                            # all that a GPU can be asked

Each precision at each batch: images a second, seconds by stage, peak memory, and on a GPU what it
launches (kernels, copies) for a batch. --graph replays the synthesis as a CUDA graph. --profile
lists what takes the time.

Weights are fresh ones unless --checkpoint is given; the head is an ellipsoid of FLAME's vertex
count. The yardstick, one plain convolution, makes figures of different machines comparable. Times
are wall seconds: on a busy machine they mean nothing.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from synthforge.camera import Camera
from synthforge.next3d import Next3D, Next3DConfig, Topology, layers, mouth, next3d

_ROWS, _COLUMNS = 69, 72  # 4968 vertices; FLAME has 5023
_PROFILE_ROWS = 25


def main() -> None:
    options = parse_options()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    print(f"device    {device_name(device)}")
    print(f"torch     {torch.__version__}, {torch.get_num_threads()} threads")
    # Not in inference mode: what is kept of weights between calls needs their versions.
    generator = build_generator(options, device)
    with torch.inference_mode():
        print_yardstick(device)
        for batch in options.batch:
            compare_precisions(generator, batch, options)


def compare_precisions(generator: Next3D, batch: int, options: argparse.Namespace) -> None:
    device, reference = generator.device, None
    inputs = build_inputs(batch, device)
    for sizes in (next3d.BATCH, next3d.HALF_BATCH):
        sizes[device.type] = batch
    for precision in options.precision:
        generator.precision = precision
        if options.compile:
            torch.compiler.reset()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        print(f"\n{precision}, batch {batch}, {options.rays} rays a side", flush=True)
        synthesize = synthesis(generator, inputs, options.rays)
        try:
            image = synthesize()
            seconds = best_time(synthesize, device, options.repeats)
        except torch.OutOfMemoryError as error:
            print(f"  out of memory: {error}")
            continue
        print(f"  total       {seconds:9.4f} s   {batch / seconds:.2f} images/s")
        print(f"  peak memory {peak_memory(device):.0f} MiB")
        if precision == "fp32":
            reference = image
        elif reference is not None:
            print(f"  against fp32: {describe_error(image, reference)}")
        if options.compile:
            continue  # a compiled network would be compiled again for what is below
        for stage, run in stages(generator, inputs, options.rays):
            print(f"  {stage:11s} {best_time(run, device, options.repeats):9.4f} s")
        print(f"  channels-last maps: {channels_last(generator, synthesize)}")
        if device.type == "cuda":
            print(f"  launches    {launches(synthesize)} a batch")
            if options.graph:
                seconds = best_time(graph_of(synthesize), device, options.repeats)
                print(f"  as a graph  {seconds:9.4f} s   {batch / seconds:.2f} images/s")
        if options.profile:
            print(profiled(synthesize, device))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", nargs="+", default=["fp32"])
    parser.add_argument("--batch", nargs="+", type=int, default=[1])
    parser.add_argument("--rays", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, help="default: torch's own choice")
    parser.add_argument("--variant", default="front", choices=["front", "original"])
    parser.add_argument("--channel-base", type=int, default=32768)
    parser.add_argument("--channel-max", type=int, default=512)
    parser.add_argument("--checkpoint", help="a .pkl or .safetensors; default: fresh weights")
    parser.add_argument("--compile", action="store_true", help="torch.compile the networks")
    parser.add_argument("--graph", action="store_true")
    parser.add_argument("--profile", action="store_true")
    return parser.parse_args()


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return str(device)


def print_yardstick(device: torch.device) -> None:
    x = torch.randn(1, 128, 512, 512, device=device)
    weight = torch.randn(128, 128, 3, 3, device=device)
    for dtype, layout in (
        (torch.float32, torch.contiguous_format),
        (torch.float32, torch.channels_last),
        (torch.bfloat16, torch.channels_last),
    ):
        args = [t.to(dtype, memory_format=layout) for t in (x, weight)]
        seconds = best_time(lambda args=args: F.conv2d(*args, padding=1), device, 3)
        print(f"yardstick {seconds:.4f} s   conv2d 128x512x512, 128 3x3, {dtype}, {layout}")


def build_generator(options: argparse.Namespace, device: torch.device) -> Next3D:
    if options.checkpoint:
        generator = Next3D.load(options.checkpoint, device, options.variant)
    else:
        config = Next3DConfig(options.channel_base, options.channel_max)
        mask = torch.ones(1, 1, 256, 256)
        generator = Next3D.from_config(config, ellipsoid()[1], mask, options.variant).to(device)
    if options.compile:
        generator.compile_networks()
    return generator


def build_inputs(batch: int, device: torch.device) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    vertices = ellipsoid()[0].expand(batch, -1, -1)
    angle = torch.arange(68) * (2 * math.pi / 68)
    lips = torch.stack([0.03 * angle.cos(), 0.02 * angle.sin() - 0.08, 0.1 + 0 * angle], -1)
    yaw = torch.linspace(-0.5, 0.5, batch + 2)[1:-1]
    camera = Camera.look_at(yaw, 0 * yaw, 20 + 0 * yaw).vector
    z = torch.randn(batch, 512, generator=random)
    landmarks = lips.expand(batch, -1, -1)
    inputs = {"z": z, "camera25": camera, "vertices": vertices, "landmarks": landmarks}
    return {name: tensor.float().to(device) for name, tensor in inputs.items()}


def ellipsoid() -> tuple[Tensor, Topology]:
    """A closed grid of FLAME's size: vertices [V, 3] in metres, triangles and UVs."""
    polar = torch.linspace(0.02, math.pi - 0.02, _ROWS)[:, None]
    around = (torch.arange(_COLUMNS) * (2 * math.pi / _COLUMNS) - math.pi)[None]
    x = 0.1 * polar.sin() * around.sin()
    y = 0.15 * polar.cos() - 0.03 + 0 * around
    z = 0.1 * polar.sin() * around.cos()
    vertices = torch.stack([x, y, z], -1).view(-1, 3)
    uvs = torch.stack([around / (2 * math.pi) + 0.5 + 0 * polar, 1 - polar / math.pi + 0 * around])
    row, column = torch.meshgrid(torch.arange(_ROWS - 1), torch.arange(_COLUMNS), indexing="ij")
    right = (column + 1) % _COLUMNS
    a, b = row * _COLUMNS + column, row * _COLUMNS + right
    c, d = a + _COLUMNS, b + _COLUMNS
    faces = torch.stack([torch.stack([a, c, d], -1), torch.stack([a, d, b], -1)]).view(-1, 3)
    return vertices, Topology(faces, uvs.view(2, -1).t().contiguous(), faces)


def synthesis(generator: Next3D, inputs: dict[str, Tensor], rays: int) -> Callable[[], Tensor]:
    """Latents, cameras and heads to images, as a run computes them."""
    heads = {name: inputs[name] for name in ("camera25", "vertices", "landmarks")}

    def synthesize() -> Tensor:
        ws = generator.map_latent(inputs["z"], inputs["camera25"])
        return generator.synthesize(ws, **heads, neural_rendering_resolution=rays).image

    return synthesize


def stages(
    generator: Next3D, inputs: dict[str, Tensor], rays: int
) -> list[tuple[str, Callable[[], Any]]]:
    """Every stage on its true input."""
    camera, vertices, landmarks = inputs["camera25"], inputs["vertices"], inputs["landmarks"]
    ws = generator.map_latent(inputs["z"], camera)
    texture = generator.neural_texture(ws)
    front = generator.render_texture(texture, vertices, "front").features
    boxes = mouth.mouth_boxes(landmarks, generator.config)
    crop = mouth.crop(front, boxes)
    planes = generator.planes(ws, vertices, landmarks)
    features = generator.render(planes, camera, rays).features
    features = features.transpose(1, 2).unflatten(2, (rays, rays))
    return [
        ("mapping", lambda: generator.map_latent(inputs["z"], camera)),
        ("texture", lambda: generator.neural_texture(ws)),
        ("raster", lambda: generator.render_texture(texture, vertices, "front")),
        ("mouth", lambda: generator.mouth_plane(crop, ws)),
        ("mouth+blend", lambda: generator.blend_mouth(front, ws, landmarks)),
        ("static", lambda: generator.static_planes(ws)),
        ("render", lambda: generator.render(planes, camera, rays)),
        ("super-res", lambda: generator.upscale(features, ws)),
    ]


def best_time(run: Callable[[], Any], device: torch.device, repeats: int) -> float:
    run()
    best = math.inf
    for _ in range(repeats):
        wait_for(device)
        start = time.perf_counter()
        run()
        wait_for(device)
        best = min(best, time.perf_counter() - start)
    return best


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> float:
    """MiB: of tensors on a GPU, of the whole process so far on CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def channels_last(generator: Next3D, run: Callable[[], Any]) -> str:
    """How many of the convolutional layers answer with a feature map of that memory layout."""
    seen: list[bool] = []

    def look(module: Any, inputs: Any, output: Tensor) -> None:
        seen.append(output.is_contiguous(memory_format=torch.channels_last))

    kinds = (layers.SynthesisLayer, layers.Conv2d)
    hooks = [m.register_forward_hook(look) for m in generator.modules() if isinstance(m, kinds)]
    run()
    for hook in hooks:
        hook.remove()
    return f"{sum(seen)} of {len(seen)}"


def launches(run: Callable[[], Any]) -> int:
    """Kernels, copies and fills on the GPU."""
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        run()
        torch.cuda.synchronize()
    return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in seen.events())


def graph_of(run: Callable[[], Any]) -> Callable[[], Any]:
    """The same work as one CUDA graph, which only reading nothing back makes possible."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def profiled(run: Callable[[], Any], device: torch.device) -> str:
    kind = ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU
    with profile(activities=[kind]) as seen:
        run()
        wait_for(device)
    by = f"self_{'device' if device.type == 'cuda' else 'cpu'}_time_total"
    return seen.key_averages().table(sort_by=by, row_limit=_PROFILE_ROWS)


def describe_error(image: Tensor, reference: Tensor) -> str:
    difference = image - reference
    psnr = 10 * math.log10(4 / difference.square().mean().item())
    return f"PSNR {psnr:.1f} dB (range 2), largest difference {difference.abs().max().item():.4f}"


if __name__ == "__main__":
    main()
