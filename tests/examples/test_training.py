import click
import numpy as np
import pytest
import torch
import training
from click.testing import CliRunner

from synthforge.detectors.unet import UNet


def test_a_tenth_is_held_out_and_not_trained_on():
    held, rest = training.held_out([np.arange(25), np.arange(25) * 2])
    assert [column.tolist() for column in held] == [[0, 1], [0, 2]]
    assert rest[0].tolist() == [*range(2, 25)] and rest[1].tolist() == [*range(4, 50, 2)]
    (one,), _ = training.held_out([np.arange(3)])
    assert len(one) == 1


def test_a_net_comes_back_as_it_was_saved(tmp_path):
    net = UNet(3, (8, 8), 2)
    net(torch.rand(2, 3, 8, 8))  # moves the means of the batch norms
    training.save_net(tmp_path, net, {"classes": ["a", "b"]})
    again = training.load_net(tmp_path, UNet(3, (8, 8), 2))
    assert not again.training and training.net_facts(tmp_path) == {"classes": ["a", "b"]}
    device, views = training.best_device(), torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(again(views.to(device)), net.eval().to(device)(views.to(device)))


def test_a_folder_without_a_net_is_named(tmp_path):
    with pytest.raises(click.UsageError, match="name the --out of `train`"):
        training.net_facts(tmp_path)


def test_options_have_the_defaults_that_a_command_names(tmp_path):
    @click.command()
    @training.training_options(steps=7, batch_size=3)
    def train(**options):
        click.echo(" ".join(f"{name}={options[name]}" for name in ("steps", "batch_size", "seed")))

    arguments = [str(tmp_path), "--out", str(tmp_path)]
    assert CliRunner().invoke(train, arguments).output == "steps=7 batch_size=3 seed=0\n"
