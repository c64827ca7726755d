"""How long a step of training takes here and in PyTorch: the same models, batches, optimizers and threads.

    python -m venv VENV && VENV/bin/pip install torch numpy
    cargo build --release -p shoal-ml --example step_time
    VENV/bin/python bench/step_time.py [--threads 2] [--repeat 5] [CASE ...]

Prints a Markdown table. The two programs take turns, so that what else the machine does disturbs both
alike; each figure is the best of its turns. PyTorch runs eagerly, as most of its users have it, with its
fused attention. The models are those of ml/examples/step_time.rs.
"""

import argparse
import math
import os
import subprocess
import time
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent / "target/release/examples/step_time"
CLASSES = 10
IMAGES = 6_000
VOCABULARY = 68


def mlp(torch):
    nn = torch.nn
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, CLASSES))
    return model, torch.optim.SGD(model.parameters(), lr=0.1), images(torch, 64, (784,))


def cnn(torch):
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(784, 64),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )
    return model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), images(torch, 64, (1, 28, 28))


def gpt_relu2(torch):
    return gpt(torch, activation=lambda x: torch.relu(x).square())


def gpt(torch, layers=4, width=128, heads=4, hidden=512, context=128, batch=16, activation=None):
    nn, functional = torch.nn, torch.nn.functional
    head = width // heads
    activation = activation or functional.gelu

    def norm(x):
        return functional.rms_norm(x, (width,), eps=1e-6)

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(width, 3 * width, bias=False)
            self.out = nn.Linear(width, width, bias=False)
            self.up = nn.Linear(width, hidden, bias=False)
            self.down = nn.Linear(hidden, width, bias=False)

        def forward(self, x, cos, sin):
            rows = x.shape[0]
            qkv = self.qkv(norm(x)).view(rows, context, 3 * heads, head).transpose(1, 2)
            turned = qkv[:, : 2 * heads]
            first, second = turned[..., : head // 2], turned[..., head // 2 :]
            turned = torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
            query, key = turned[:, :heads], turned[:, heads:]
            heard = functional.scaled_dot_product_attention(query, key, qkv[:, 2 * heads :], is_causal=True)
            x = x + self.out(heard.transpose(1, 2).reshape(rows, context, width))
            return x + self.down(activation(self.up(norm(x))))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, width)
            self.layers = nn.ModuleList(Layer() for _ in range(layers))
            pairs = torch.arange(head // 2) / (head // 2)
            angle = torch.arange(context)[:, None] / 10_000.0**pairs
            self.register_buffer("cos", angle.cos())
            self.register_buffer("sin", angle.sin())

        def forward(self, tokens):
            x = norm(self.embedding(tokens))
            for layer in self.layers:
                x = layer(x, self.cos, self.sin)
            return (norm(x) @ self.embedding.weight.T).flatten(0, 1)

    model = Gpt()
    text = torch.randint(VOCABULARY, (1_000 * context + 1,))

    def draw():
        rows = torch.randint(1_000, (batch,)) * context
        places = rows[:, None] + torch.arange(context)
        return text[places], text[places + 1].flatten()

    return model, torch.optim.AdamW(model.parameters(), lr=0.003), draw


def images(torch, batch, shape):
    inputs = torch.rand(IMAGES, *shape)
    labels = torch.randint(CLASSES, (IMAGES,))

    def draw():
        rows = torch.randint(IMAGES, (batch,))
        return inputs[rows], labels[rows]

    return draw


def torch_step(name, steps, threads):
    import torch

    torch.set_num_threads(threads)
    model, optimizer, draw = {"mlp": mlp, "cnn": cnn, "gpt": gpt, "gpt-relu2": gpt_relu2}[name](torch)

    def step():
        inputs, answers = draw()
        loss = torch.nn.functional.cross_entropy(model(inputs), answers)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if not math.isfinite(loss.item()):
            raise SystemExit(f"{name} diverged in PyTorch")

    for _ in range(max(2, steps // 10)):
        step()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - began) / steps * 1_000


def shoal_step(name, steps, threads):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    line = subprocess.run([PROGRAM, name, str(steps)], env=environment, check=True, capture_output=True, text=True).stdout
    return float(line.split("\t")[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="mlp, cnn, gpt, gpt-relu2; all of them if none is named")
    asked = parser.parse_args()
    if not PROGRAM.exists():
        raise SystemExit("first: cargo build --release -p shoal-ml --example step_time")
    titles = {
        "mlp": ("MLP 784-256-10, batch 64, SGD", 400),
        "cnn": ("CNN 28x28, 8 and 16 channels, 64, batch 64, SGD with momentum", 200),
        "gpt": ("transformer, 4 layers of 128, context 128, batch 16, AdamW", 10),
        "gpt-relu2": ("the same with `activation = \"relu2\"`", 10),
    }
    unknown = [case for case in asked.cases if case not in titles]
    if unknown:
        raise SystemExit(f"no case {unknown[0]}; there are {', '.join(titles)}")
    print(f"| a step, ms, {asked.threads} threads | Shoal | PyTorch | PyTorch / Shoal |\n| --- | --- | --- | --- |")
    for case in asked.cases or titles:
        title, steps = titles[case]
        turns = [(shoal_step(case, steps, asked.threads), torch_step(case, steps, asked.threads)) for _ in range(asked.repeat)]
        here, there = (min(turn[side] for turn in turns) for side in (0, 1))
        print(f"| {title} | {here:.2f} | {there:.2f} | {there / here:.2f} |", flush=True)


if __name__ == "__main__":
    main()
