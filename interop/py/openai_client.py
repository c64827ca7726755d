"""OpenAI's official client against a node's local API: `openai_client.py ADDRESS TOKEN MODEL`.

Prints a JSON line of figures at the end; ends with an assertion at the first thing that is not as
OpenAI's interface says.
"""

import json
import sys
import threading

import openai

ADDRESS, TOKEN, MODEL = sys.argv[1:]
# More texts than a node's queue holds, each of seconds.
CROWD = 24
LONG = 60_000


def client(token=TOKEN):
    return openai.OpenAI(base_url=f"http://{ADDRESS}/v1", api_key=token, max_retries=0, timeout=60)


def check(holds, what):
    if not holds:
        raise AssertionError(what)


def fails(kind, ask):
    """The error that the client makes of the answer."""
    try:
        ask()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def texts(api):
    said = dict(model=MODEL, prompt="HAMLET", max_tokens=40, seed=11, temperature=0.8, top_p=0.9)
    whole = api.completions.create(**said)
    check(whole.object == "text_completion" and whole.model == MODEL, whole)
    check(whole.choices[0].finish_reason == "length" and len(whole.choices[0].text) == 40, whole)
    check((whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens) == (6, 40, 46), whole.usage)
    pieces = list(api.completions.create(stream=True, stream_options={"include_usage": True}, **said))
    check("round" in whole.system_fingerprint, whole)
    # Weights go on meanwhile: only the same ones must give the same text.
    if pieces[0].system_fingerprint == whole.system_fingerprint:
        check("".join(piece.choices[0].text for piece in pieces if piece.choices) == whole.choices[0].text, "pieces and whole differ")
    check(pieces[-1].usage.completion_tokens == 40 and len(pieces) > 10, f"{len(pieces)} pieces")
    stop = api.completions.create(model=MODEL, prompt="To be", max_tokens=400, stop=[" ", "\n"], seed=3)
    check(stop.choices[0].finish_reason == "stop" and not set(stop.choices[0].text) & {" ", "\n"}, stop)
    greedy = {api.completions.create(model=MODEL, prompt="To be", max_tokens=1, temperature=0, seed=seed).choices[0].text for seed in range(3)}
    check(len(greedy) == 1, greedy)


def conversations(api):
    said = dict(model=MODEL, messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who is there?"}])
    whole = api.chat.completions.create(max_completion_tokens=30, seed=1, **said)
    check(whole.object == "chat.completion" and whole.choices[0].message.role == "assistant", whole)
    check(whole.choices[0].message.content and whole.usage.completion_tokens <= 30, whole)
    with api.chat.completions.create(max_tokens=30, seed=1, stream=True, **said) as stream:
        deltas = [piece.choices[0] for piece in stream]
    check(deltas[0].delta.role == "assistant" and deltas[-1].finish_reason in ("length", "stop"), deltas)
    check(any(delta.delta.content for delta in deltas), deltas)


def failures(api):
    create = api.completions.create
    error = fails(openai.AuthenticationError, lambda: client("x" * 64).models.list())
    check(error.code == "invalid_api_key", error)
    error = fails(openai.NotFoundError, lambda: create(model="no-such-run", prompt="a"))
    check((error.code, error.param) == ("model_not_found", "model"), error)
    for param, more in (("temperature", {"temperature": 9}), ("n", {"n": 2}), ("stop", {"stop": ["a"] * 5}), ("best_of", {"best_of": 2})):
        error = fails(openai.BadRequestError, lambda: create(model=MODEL, prompt="a", **more))
        check(error.param == param and error.type == "invalid_request_error", error)


def crowd():
    """More at once than the queue holds: some are refused with 429, the others are answered."""
    outcomes = []

    def ask():
        try:
            with client().completions.create(model=MODEL, prompt="a", max_tokens=LONG, stream=True) as stream:
                outcomes.append("answered" if next(iter(stream)) else "empty")
                together.wait(60)
        except openai.RateLimitError as error:
            check(error.response.headers["retry-after"] == "1", "no Retry-After")
            outcomes.append("refused")
            together.wait(60)

    together = threading.Barrier(CROWD)
    threads = [threading.Thread(target=ask) for _ in range(CROWD)]
    [thread.start() for thread in threads]
    [thread.join(90) for thread in threads]
    return {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}


def main():
    api = client()
    check(MODEL in [model.id for model in api.models.list()], "the model is not listed")
    check(api.models.retrieve(MODEL).object == "model", "the model cannot be looked at")
    texts(api)
    conversations(api)
    failures(api)
    outcomes = crowd()
    check(outcomes.get("refused", 0) > 0 and outcomes.get("answered", 0) > 0, outcomes)
    print(json.dumps({"version": openai.__version__, "crowd": outcomes}))


if __name__ == "__main__":
    main()
