# SPDX-License-Identifier: Apache-2.0
"""Trains a small language model where no package with weights can be had: one hidden layer guesses
the next character of this project's own pages.

Usage: train.py MODEL.safetensors PAGE...
"""
import array
import json
import math
import random
import struct
import sys

WIDTH = 32
STEPS = 4000
RATE = 0.1


def matrix(rows, columns, chance):
    return [[chance.gauss(0, 0.1) for _ in range(columns)] for _ in range(rows)]


def step(model, now, after):
    """One guess and its correction; returns the loss."""
    embedding, hidden, output = model["embedding"], model["hidden"], model["output"]
    x = embedding[now]
    h = [math.tanh(sum(w * v for w, v in zip(row, x))) for row in hidden]
    z = [sum(w * v for w, v in zip(row, h)) for row in output]
    top = max(z)
    e = [math.exp(v - top) for v in z]
    total = sum(e)
    dz = [v / total for v in e]
    loss = -math.log(dz[after] + 1e-12)
    dz[after] -= 1
    dh = [0.0] * WIDTH
    for row, d in zip(output, dz):
        for i in range(WIDTH):
            dh[i] += row[i] * d
            row[i] -= RATE * d * h[i]
    dh = [d * (1 - v * v) for d, v in zip(dh, h)]
    dx = [0.0] * WIDTH
    for row, d in zip(hidden, dh):
        for i in range(WIDTH):
            dx[i] += row[i] * d
            row[i] -= RATE * d * x[i]
    for i in range(WIDTH):
        x[i] -= RATE * dx[i]
    return loss


def write(path, model):
    entries, data = {}, b""
    for name, rows in model.items():
        values = array.array("f", [value for row in rows for value in row]).tobytes()
        entries[name + ".weight"] = {"dtype": "F32", "shape": [len(rows), len(rows[0])],
                                     "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def main():
    pages = ""
    for page in sys.argv[2:]:
        with open(page, encoding="utf-8") as file:
            pages += file.read()
    letters = sorted(set(pages))
    text = [letters.index(letter) for letter in pages[:20000]]
    chance = random.Random(1)
    model = {"embedding": matrix(len(letters), WIDTH, chance),
             "hidden": matrix(WIDTH, WIDTH, chance), "output": matrix(len(letters), WIDTH, chance)}
    losses = []
    for _ in range(STEPS):
        at = chance.randrange(len(text) - 1)
        losses.append(step(model, text[at], text[at + 1]))
    first, last = sum(losses[:200]) / 200, sum(losses[-200:]) / 200
    # A fourth tensor, so that each of four ranks has one.
    model["history"] = [losses]
    write(sys.argv[1], model)
    print(f"trained {STEPS} steps, loss {first:.2f} -> {last:.2f}")
    if last >= first:
        sys.exit("the loss did not fall")


if __name__ == "__main__":
    main()
