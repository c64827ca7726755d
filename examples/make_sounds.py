"""Makes a folder `sounds` to learn from: 1,000 recordings of five kinds of sound, each at a loudness of its own and under noise."""

import math, os, random, struct, wave
random.seed(1)
RATE = 8000
def tone(kind, hz, t):
    phase = hz * t % 1
    return {"sine": math.sin(2 * math.pi * phase), "square": 1 if phase < .5 else -1, "saw": 2 * phase - 1,
            "chirp": math.sin(2 * math.pi * hz * t * (1 + t)), "noise": random.uniform(-1, 1)}[kind]
for kind in ["sine", "square", "saw", "chirp", "noise"]:
    os.makedirs(f"sounds/{kind}", exist_ok=True)
    for i in range(200):
        hz, loud, noise, n = random.uniform(150, 900), random.uniform(.05, .5), random.uniform(0, .3), random.randint(4000, 8000)
        samples = [loud * (tone(kind, hz, j / RATE) + noise * random.gauss(0, 1)) for j in range(n)]
        with wave.open(f"sounds/{kind}/{i}.wav", "wb") as file:
            file.setparams((1, 2, RATE, n, "NONE", ""))
            file.writeframes(b"".join(struct.pack("<h", max(-32768, min(32767, int(32767 * x)))) for x in samples))
