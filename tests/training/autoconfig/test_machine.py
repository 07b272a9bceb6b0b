"""Facts of the machine: the precision that training selects."""

import pytest
import torch

from cairn.training.autoconfig.machine import in_bf16


@pytest.mark.parametrize(
    ("capabilities", "automatic"),
    [
        ({"amx_tile": True, "amx_bf16": True}, True),
        ({"avx512_bf16": True}, True),
        ({"amx_tile": True, "amx_bf16": False, "avx512_vnni": True}, False),
        ({}, False),
    ],
)
def test_auto_is_bf16_on_a_cpu_that_multiplies_it(
    capabilities: dict[str, bool], automatic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert in_bf16("auto") == automatic
    assert in_bf16("bf16")
    assert not in_bf16("fp32")
