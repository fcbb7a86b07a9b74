"""Log lines of known counts as engines write them, for the tests to read back."""

from __future__ import annotations

import itertools
import json

NOISE = (
    "INFO 11-27 10:00:00 [loggers.py:127] Engine 000: Avg prompt throughput: 1.1 tokens/s, Running: 3 reqs",
    '2026-11-27T10:00:01Z {"level": "info", "msg": "GET /v1/models 200", "accept": "*/*"}',
    "srv  update_slots: all slots are idle",
    "drafting of an answer is accepted by nobody { [ (",
    "",
)
PREFIXES = (
    "",
    "(APIServer pid=2236552) ",
    "\x1b[32mINFO\x1b[0m 11-27 10:00:00 [metrics.py:96] ",
    "0.06.896.015 I ",
)


def rates(calls: int, accepted: list[int], digits: int = 3) -> str:
    return ", ".join(f"{count / calls:.{digits}f}" for count in accepted)


def vllm(calls: int, accepted: list[int], drafted: int) -> str:
    total = sum(accepted)
    return (
        f"SpecDecoding metrics: Mean acceptance length: {1 + total / calls:.2f}, Accepted throughput: 766.65 "
        f"tokens/s, Drafted throughput: 1432.10 tokens/s, Accepted: {total} tokens, Drafted: {drafted} "
        f"tokens, "
        f"Per-position acceptance rate: {rates(calls, accepted)}, Avg Draft acceptance rate: "
        f"{100 * total / drafted:.1f}%"
    )


def lmdeploy(calls: int, accepted: list[int], drafted: int) -> str:
    total = sum(accepted)
    return (
        f"lmdeploy - INFO - metrics: Draft acceptance rate: {100 * total / drafted:.2f}%, Mean acceptance "
        f"length: "
        f"{1 + total / calls:.2f}, Accepted: {total} tokens, Drafted: {drafted} tokens, Per-position "
        f"acceptance "
        f"rate: {rates(calls, accepted)}"
    )


def slot(calls: int, accepted: list[int], drafted: int, short: bool = False) -> str:
    total, name = sum(accepted), "mean len" if short else "mean acceptance length"
    return (
        f"slot print_timing: id  1 | task 0 | draft acceptance = {total / drafted:.5f} ({total:5d} accepted "
        f"/ "
        f"{drafted:5d} generated), {name} = {1 + total / calls:5.2f}, acceptance rate per position = "
        f"({rates(calls, accepted)})"
    )


def statistics(
    calls: int, accepted: list[int], drafted: int, kind: str = "draft-mtp", times: str = ""
) -> str:
    total = sum(accepted)
    return (
        f"statistics {kind:>16}: #calls(b,g,a) = {1:4d} {calls:6d} {calls:6d}, #gen drafts = {calls:6d}, "
        f"#acc drafts = {accepted[0]:5d}, #gen tokens = {drafted:6d}, #acc tokens = {total:5d}, #mean acc "
        f"len = "
        f"{1 + total / calls:.2f}, #acc rate/pos = ({rates(calls, accepted)}){times}"
    )


def histogram(calls: int, accepted: list[int]) -> list[int]:
    at_least = [calls, *accepted, 0]
    return [before - after for before, after in itertools.pairwise(at_least)]


def request(calls: int, accepted: list[int], drafted: int) -> str:
    total = sum(accepted)
    metrics = {
        "mean_acceptance_length": 1 + total / calls, "acceptance_histogram": histogram(calls, accepted),
        "num_spec_steps": calls, "num_accepted_draft_tokens": total, "num_draft_tokens": drafted,
        "num_spec_tokens": len(accepted),
    }  # fmt: skip
    return json.dumps({"id": "a", "choices": [{"text": "}{"}], "metrics": {"speculative_decoding": metrics}})


def meta_info(calls: int, accepted: list[int], drafted: int) -> str:
    found = histogram(calls, accepted)
    info = {
        "id": "a", "finish_reason": {"type": "stop", "matched": 2}, "spec_verify_ct": calls,
        "spec_num_correct_drafts": sum(accepted), "spec_num_proposed_drafts": drafted,
        "spec_correct_drafts_histogram": found, "spec_accept_histogram": found,
    }  # fmt: skip
    return f"[2026-10-02 23:42:16] Finish: obj=Req(rid='a'), out={dict(text='b', meta_info=info)}"


def fastdeploy(calls: int, accepted: list[int], drafted: int) -> str:
    total = calls + sum(accepted)
    return (
        f"req_id: a, total_step: {calls}, accept_ratio: {1 - calls / total}, average_accept_length: "
        f"{total / calls}, "
        f"accepted_tokens: {total}, rejected_tokens: {drafted + calls - total}, accepted_tokens_per_head: "
        f"{[calls, *accepted]}, accept_ratio_per_head: [0.5]"
    )


def prometheus(calls: int, accepted: list[int], drafted: int, engine: int = 0, owner: str = "vllm:") -> str:
    labels = f'engine="{engine}",model_name="m"'
    name = f"{owner}spec_decode_num_"
    series = [("drafts", calls), ("draft_tokens", drafted), ("accepted_tokens", sum(accepted))]
    lines = []
    for kind, value in series:
        lines += [
            f"# TYPE {name}{kind}_total counter", f"{name}{kind}_total{{{labels}}} {float(value)}",
            f"{name}{kind}_created{{{labels}}} 1.7621e+09",
        ]  # fmt: skip
    for at, value in enumerate(accepted):
        lines.append(f'{name}accepted_tokens_per_pos_total{{{labels},position="{at}"}} {float(value)}')
        lines.append(f'{name}accepted_tokens_per_pos_created{{{labels},position="{at}"}} 1.7621e+09')
    return "\n".join(lines)


def sglang(length: float, rate: float, running: int = 1) -> str:
    return (
        f"[2026-01-01 00:00:00 TP0] Decode batch. #running-req: {running}, #token: 108, token usage: 0.00, "
        f"accept len: {length:.2f}, accept rate: {rate:.2f}, cuda graph: True, gen throughput (token/s): "
        f"178.86, "
        "#queue-req: 0, "
    )


ADDED = {
    "vllm": vllm, "lmdeploy": lmdeploy, "slot": slot, "request": request, "meta_info": meta_info,
    "fastdeploy": fastdeploy,
}  # fmt: skip
"""Formats whose lines are added up, by (calls, accepted by position, drafted)."""
