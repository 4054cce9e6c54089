"""Generates with vLLM; runs in an environment that has it and communicates over pipes.

The first line of standard input is the job, in JSON. A line of output reports when model and kernels are
ready; then every further line of input starts one pass over all prompts, answered by a line with the texts.
Everything that vLLM prints goes to standard error. Only vLLM is imported here, since its environment may not
have `sequela`.
"""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = json.loads(sys.stdin.readline())

    import vllm  # slow, and it prints

    prompts = [{"prompt_token_ids": ids} for ids in job["prompts"]]
    longest = max(len(ids) for ids in job["prompts"]) + job["max_new_tokens"]
    model = vllm.LLM(
        model=job["model"],
        dtype=job["dtype"],
        enforce_eager=True,
        enable_prefix_caching=True,
        max_model_len=longest + 1,
        disable_log_stats=True,
    )
    greedy = vllm.SamplingParams(temperature=0.0, max_tokens=job["max_new_tokens"], stop=job["stop"])
    short = vllm.SamplingParams(temperature=0.0, max_tokens=4)
    model.generate(prompts[:2], short, use_tqdm=False)  # warm

    def send(answer: dict[str, object]) -> None:
        # Each pass starts without cached prefixes of the previous one, like the other programs.
        if not model.reset_prefix_cache():
            raise RuntimeError("vLLM did not empty its prefix cache.")
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    preloaded = [Path(path).name for path in os.environ.get("LD_PRELOAD", "").split(":") if path]
    send({"version": vllm.__version__, "preloaded": preloaded})
    for _ in sys.stdin:
        outputs = model.generate(prompts, greedy, use_tqdm=False)
        send({"texts": [output.outputs[0].text for output in outputs]})


if __name__ == "__main__":
    main()
