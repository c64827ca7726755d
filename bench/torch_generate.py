#!/usr/bin/env python3
"""Tokens a second of the transformer of `ml/examples/answer_time.rs`, in PyTorch on the processor.

Token by token with a cache of keys and values, batch 1, as few operations as eager mode allows: matrices
fused as in ml/src/model/gpt.rs, attention by scaled_dot_product_attention, caches written in place.
`bench/torch_generate.py [THREADS]..` measures with one thread unless told otherwise.
"""

import statistics
import sys
import time

import torch
from torch.nn import functional

LAYERS, WIDTH, HEADS, HIDDEN, VOCABULARY, CONTEXT, TOKENS, TEXTS = 4, 128, 4, 512, 68, 128, 120, 7
HEAD = WIDTH // HEADS


def norm(x):
    return functional.rms_norm(x, (WIDTH,), eps=1e-6)


def turn(x, cos, sin):
    a, b = x[..., : HEAD // 2], x[..., HEAD // 2 :]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Model:
    def __init__(self):
        sizes = [(VOCABULARY, WIDTH)] + LAYERS * [(WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, HIDDEN), (HIDDEN, WIDTH)]
        self.table, *rest = [torch.randn(size) * 0.08 for size in sizes]
        self.layers = [rest[i : i + 4] for i in range(0, len(rest), 4)]
        angles = torch.arange(CONTEXT)[:, None] / 10_000 ** (torch.arange(HEAD // 2)[None, :] / (HEAD // 2))
        self.cos, self.sin = angles.cos(), angles.sin()
        self.keys, self.values = ([torch.empty(HEADS, CONTEXT, HEAD) for _ in range(LAYERS)] for _ in range(2))

    def step(self, token, place):
        x = norm(self.table[token : token + 1])
        cos, sin = self.cos[place], self.sin[place]
        for (into, out, up, down), keys, values in zip(self.layers, self.keys, self.values):
            query, key, value = (norm(x) @ into).view(3, HEADS, 1, HEAD)
            keys[:, place : place + 1], values[:, place : place + 1] = turn(key, cos, sin), value
            seen = slice(0, place + 1)
            heard = functional.scaled_dot_product_attention(turn(query, cos, sin), keys[:, seen], values[:, seen])
            x = x + heard.reshape(1, WIDTH) @ out
            x = x + functional.gelu(norm(x) @ up) @ down
        return (norm(x) @ self.table.T)[0]


def text(model):
    """The time of one text: five tokens of prompt, then so many drawn."""
    begun = time.perf_counter()
    tokens = [1, 2, 3, 4, 5]
    for place, token in enumerate(tokens):
        logits = model.step(token, place)
    for place in range(len(tokens), len(tokens) + TOKENS - 1):
        token = int(torch.multinomial(logits.softmax(-1), 1))
        logits = model.step(token, place)
    return time.perf_counter() - begun


def main():
    torch.set_grad_enabled(False)
    for threads in [int(word) for word in sys.argv[1:]] or [1]:
        torch.set_num_threads(threads)
        model = Model()
        text(model)
        rate = TOKENS / statistics.median(text(model) for _ in range(TEXTS))
        print(f"torch {torch.__version__}, {threads} threads: {rate:.0f} tokens/s (median of {TEXTS})")


if __name__ == "__main__":
    main()
