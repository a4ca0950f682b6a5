"""`.pth` files both ways with PyTorch."""

import pytest
from pth_files import assert_same

from neocog.errors import FormatError
from neocog.formats.pth import load_pth, save_pth

# Both ways


def test_torch_loads_what_was_saved(tmp_path, arrays, torch):
    save_pth(arrays, tmp_path / "a.pth")
    for mmap in (False, True):
        state = torch.load(tmp_path / "a.pth", weights_only=True, mmap=mmap)
        assert type(state).__name__ == "OrderedDict"
        assert_same({name: tensor.numpy() for name, tensor in state.items()}, arrays)


def test_torch_modules_are_loaded(tmp_path, torch):
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(7, 2, bias=False)
    ).to(memory_format=torch.channels_last)
    torch.save(module.state_dict(), tmp_path / "a.pth")
    expected = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    loaded = load_pth(tmp_path / "a.pth")
    assert_same(loaded, expected)


def test_views_parameters_and_all_types_of_torch_are_loaded(tmp_path, torch):
    base = torch.arange(24.0)
    tensors = {
        "tied": base,
        "part": base[4:10],
        "turned": base.view(4, 6).t(),
        "steps": base[::5],
        "expanded": base[:1].expand(3, 2),
        "one row": base.view(4, 6)[1:2],
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "parameter": torch.nn.Parameter(base[:3].clone()),
        "truth": torch.tensor([True, False]),
        **{
            str(kind): torch.arange(-2, 3).to(kind)
            for kind in (
                torch.float64, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8,
                torch.uint8,
            )
        },
    }  # fmt: skip
    torch.save(tensors, tmp_path / "a.pth")
    assert_same(load_pth(tmp_path / "a.pth"), {k: t.detach().numpy() for k, t in tensors.items()})


def test_bfloat16_becomes_float32(tmp_path, torch):
    tensor = torch.tensor([1.5, -3e38, float("inf"), 1e-40]).bfloat16()
    torch.save({"a.b": tensor}, tmp_path / "a.pth")
    assert_same(load_pth(tmp_path / "a.pth"), {"a.b": tensor.float().numpy()})


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.",
                                    "_orig_mod.module."])  # fmt: skip
def test_checkpoints_of_wrapped_modules_are_loaded(tmp_path, torch, key, prefix):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = module.state_dict(prefix=prefix)
    checkpoint = {"epoch": 3, "lr": 0.1, "note": None, "optimizer": optimizer.state_dict()}
    torch.save({**checkpoint, key: state}, tmp_path / "a.pth")
    expected = {k: t.numpy() for k, t in module.state_dict().items()}
    assert_same(load_pth(tmp_path / "a.pth"), expected)


def linear(torch, **kind):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2))
    return module, {k: t.detach().numpy() for k, t in module.state_dict().items()}


def test_what_torch_calls_safe_is_skipped_beside_weights(tmp_path, torch):
    module, expected = linear(torch)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    beside = {
        "lr_scheduler": torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 3, 9]).state_dict(),
        "shape": torch.Size([1, 28, 28]),
        "device": torch.device("cuda", 1),
        "dtype": torch.bfloat16,
        "frozen": {"0.bias"},
        "digest": b"\x00\xff",
        "root": 2 - 1j,
        "array": bytearray(b"abc"),
        "names": {(1, 2): "of a tuple", None: 1, 1.5: 2},
        "seed": -(2**90),
        "complex": torch.ones(2, dtype=torch.complex64),
        "float8": torch.ones(2).to(torch.float8_e5m2),
        "sparse": torch.eye(2).to_sparse(),
        "count": torch.tensor(3),
    }
    for content in ({"model": module.state_dict(), **beside}, {**beside, **module.state_dict()}):
        content = dict(content)
        if "model" not in content:  # tensors that are not weights would be taken for such
            for name in ("complex", "float8", "sparse", "count"):
                del content[name]
        torch.save(content, tmp_path / "a.pth")
        torch.load(tmp_path / "a.pth", weights_only=True)
        assert_same(load_pth(tmp_path / "a.pth"), expected)


@pytest.mark.parametrize(
    "path",
    ["net", "network", "model_ema", "a name of one's own", "checkpoint.model", "epoch 3.best.net"],
)
def test_the_weights_are_found_by_looking(tmp_path, torch, path):
    module, expected = linear(torch)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    content = module.state_dict()
    for key in reversed(path.split(".")):
        content = {"optimizer": optimizer.state_dict(), "acc": 0.5, key: content, "extra": {}}
    torch.save(content, tmp_path / "a.pth")
    assert_same(load_pth(tmp_path / "a.pth"), expected)


def test_weights_of_several_networks_are_not_guessed(tmp_path, torch):
    states = {name: linear(torch)[0].state_dict() for name in ("netG", "netD")}
    torch.save({"epoch": 1, **states}, tmp_path / "a.pth")
    with pytest.raises(FormatError, match=r"weights of several networks: netG, netD\. Save one"):
        load_pth(tmp_path / "a.pth")
    torch.save({"ema": states["netD"], "model": states["netG"]}, tmp_path / "a.pth")
    expected = {name: tensor.numpy() for name, tensor in states["netG"].items()}
    assert_same(load_pth(tmp_path / "a.pth"), expected)


@pytest.mark.parametrize("kind", ["sparse", "complex", "float8"])
def test_weights_of_kinds_that_are_not_read_are_named(tmp_path, torch, kind):
    weight = {
        "sparse": lambda: torch.eye(2).to_sparse(),
        "complex": lambda: torch.ones(2, dtype=torch.complex128),
        "float8": lambda: torch.ones(2).to(torch.float8_e4m3fn),
    }[kind]()
    torch.save({"fc.bias": torch.ones(2), "fc.weight": weight}, tmp_path / "a.pth")
    with pytest.raises(FormatError, match=r"fc\.weight.*(such tensors are|which is) not read"):
        load_pth(tmp_path / "a.pth")


def test_torchs_files_without_checksums_are_loaded(tmp_path, torch):
    module, expected = linear(torch)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(module.state_dict(), tmp_path / "a.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(load_pth(tmp_path / "a.pth"), expected)


# Refused


def test_files_of_old_torch_are_loaded(tmp_path, torch):
    module, _ = linear(torch)
    base = torch.arange(12.0)
    state = {
        **module.state_dict(),
        "rows.part": base.view(3, 4)[1:, ::2],
        "half.part": base[:3].half(),
        "brain.part": base[:3].bfloat16(),
        "truth.part": base > 3,
    }
    others = {"complex": torch.ones(3, dtype=torch.complex64), "size": torch.Size([3])}
    old = {"_use_new_zipfile_serialization": False}
    torch.save({"model": state, **others}, tmp_path / "a.pth", **old)
    expected = {name: tensor.float().numpy() for name, tensor in state.items()}
    expected["half.part"] = state["half.part"].numpy()
    expected["truth.part"] = state["truth.part"].numpy()
    assert_same(load_pth(tmp_path / "a.pth"), expected)
    torch.save(torch.nn.Linear(2, 3), tmp_path / "a.pth", **old)
    with pytest.raises(FormatError, match=r"it names 'torch\.nn\.modules\.linear\.Linear'"):
        load_pth(tmp_path / "a.pth")


def test_weights_beside_something_else_in_a_tuple_are_loaded(tmp_path, torch):
    module, expected = linear(torch)
    torch.save((module.state_dict(), 3), tmp_path / "a.pth")
    assert_same(load_pth(tmp_path / "a.pth"), expected)
