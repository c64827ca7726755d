#!/usr/bin/env python3
"""Loads what `shoal export` wrote with PyTorch alone and prints logits: no Shoal, no package but torch.

    shoal export --to DIR
    examples/load_export.py DIR ROWS.csv          a row of numbers an example; its logits on a line
    examples/load_export.py DIR --text "To be"    the logits of the token that follows the text
    examples/load_export.py DIR --text "To be" --continue 100

The same numbers as `shoal predict --logits` prints, but for rounding. `mlp`, `cnn` and `gpt` are written
out below as they are defined in ml/src/model; another kind needs its own few lines in MODELS.
"""

import argparse
import json
import os
import struct

import torch
from torch.nn import functional

FORMAT = 1
# Longest header of a weights' file that is read, bytes: as Shoal's own reader.
HEADER_BYTES_MAX = 1 << 20


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return json.load(file)


def tensors(path):
    """All tensors of a safetensors file by name: a length, a header of JSON, then the numbers."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > HEADER_BYTES_MAX:
            raise SystemExit(f"{path}: a header of {length} bytes is too long")
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise SystemExit(f"{path}: {name} is {entry['dtype']}, not F32")
        begin, end = entry["data_offsets"]
        found[name] = torch.frombuffer(data[begin:end], dtype=torch.float32).reshape(entry["shape"])
    return found


def mlp(weights, task, inputs):
    """Logits [examples, classes] of numbers [examples, inputs]."""
    layers = len(task["model"]["hidden"]) + 1
    x = inputs
    for i in range(layers):
        x = x @ weights[f"layers.{i}.weight"] + weights[f"layers.{i}.bias"]
        if i + 1 < layers:
            x = torch.relu(x)
    return x


def cnn(weights, task, inputs):
    """Logits [examples, classes] of images [examples, numbers]: stages of stride 2, then an mlp."""
    model, shape = task["model"], task["inputs"]
    series = model.get("series", False)
    convolve, least = (functional.conv1d, 2) if series else (functional.conv2d, 3)
    x = inputs.reshape(-1, *([1] if len(shape) < least else []), *shape)
    for i in range(len(model["channels"])):
        kernel = weights[f"stages.{i}.weight"]
        x = torch.relu(convolve(x, kernel, weights[f"stages.{i}.bias"], stride=2, padding=kernel.shape[-1] // 2))
    return mlp(weights, task, x.flatten(1))


def norm(x):
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def turn(x):
    """Rotary positions: the pair of number j and number j + half of [heads, places, head] is turned."""
    places, half = x.shape[1], x.shape[2] // 2
    angles = torch.arange(places)[:, None] / 10_000 ** (torch.arange(half)[None, :] / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)


def gpt(weights, task, tokens):
    """Logits [tokens, vocabulary] of tokens [tokens], each of the token after it."""
    layers, heads = task["model"]["layers"], task["model"]["heads"]
    table = weights["embedding"]
    activation = {"gelu": functional.gelu, "relu2": lambda x: torch.relu(x).square()}[task["model"].get("activation", "gelu")]
    width, head = table.shape[1], table.shape[1] // heads
    x = norm(table[tokens])
    for i in range(layers):
        qkv = norm(x) @ weights[f"layers.{i}.attention.qkv"]
        query, key, value = (part.reshape(-1, heads, head).transpose(0, 1) for part in qkv.split(width, -1))
        heard = functional.scaled_dot_product_attention(turn(query), turn(key), value, is_causal=True)
        x = x + heard.transpose(0, 1).reshape(-1, width) @ weights[f"layers.{i}.attention.out"]
        x = x + activation(norm(x) @ weights[f"layers.{i}.feed.up"]) @ weights[f"layers.{i}.feed.down"]
    return norm(x) @ table.T


MODELS = {"shoal-mlp": mlp, "shoal-cnn": cnn, "shoal-gpt": gpt}


def rows(path):
    with open(path, encoding="utf-8") as file:
        return torch.tensor([[float(cell) for cell in line.split(",")] for line in file if line.strip()])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("inputs", nargs="?", help="a CSV file of examples")
    parser.add_argument("--text", help="a text to continue, for a language model")
    parser.add_argument("--continue", dest="tokens", type=int, default=0, help="print so many of the likeliest tokens instead of logits")
    args = parser.parse_args()

    config = read(args.folder, "config.json")
    if config["format"] != FORMAT or config["model_type"] not in MODELS:
        raise SystemExit(f"{args.folder}: format {config['format']}, model {config['model_type']}; known are {FORMAT}, {', '.join(MODELS)}")
    weights, model = tensors(os.path.join(args.folder, "model.safetensors")), MODELS[config["model_type"]]
    with torch.no_grad():
        if args.text is None:
            for logits in model(weights, config["task"], rows(args.inputs)):
                print(*(f"{logit:.7g}" for logit in logits.tolist()))
            return
        characters, context = read(args.folder, "vocabulary.json"), config["task"]["context"]
        token = {character: place for place, character in enumerate(characters)}
        # A character that the model does not know is read as its first.
        tokens = [token.get(character, 0) for character in args.text]
        if not args.tokens:
            print(*(f"{logit:.7g}" for logit in model(weights, config["task"], torch.tensor(tokens[-context:]))[-1].tolist()))
            return
        for _ in range(args.tokens):
            tokens.append(int(model(weights, config["task"], torch.tensor(tokens[-context:]))[-1].argmax()))
        print("".join(characters[token] for token in tokens[-args.tokens:]))


if __name__ == "__main__":
    main()
