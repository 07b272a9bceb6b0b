import numpy as np
import torch

from cairn.methods.lifting.network import Lifting, LiftingGraph, clip_norms


def norm(x, layer):
    return (x - layer.running_mean) / torch.sqrt(layer.running_var + layer.eps) * layer.weight + layer.bias


def test_the_network_is_that_of_figure_2():
    torch.manual_seed(0)
    network = Lifting(6, 9, width=16, blocks=2).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    x = torch.randn(4, 6)
    linear, batch_norm = network.first[0], network.first[1]
    hidden = norm(x @ linear.weight.T + linear.bias, batch_norm).relu()
    for block in network.blocks:
        out = hidden
        for i in (0, 4):
            out = norm(out @ block.layers[i].weight.T + block.layers[i].bias, block.layers[i + 1]).relu()
        hidden = hidden + out
    expected = hidden @ network.last.weight.T + network.last.bias
    torch.testing.assert_close(network(x), expected)


def test_the_paper_has_4_3_million_parameters():
    network = Lifting(2 * 16, 3 * 16)
    assert 4.2e6 < sum(parameter.numel() for parameter in network.parameters()) < 4.4e6


def test_rows_are_scaled_to_the_maximum_norm_and_short_ones_stay():
    network = Lifting(3, 3, width=8, blocks=1)
    with torch.no_grad():
        network.last.weight[0] = torch.full((8,), 0.1)
    before = network.last.weight.clone()
    clip_norms(network, 1.0)
    for module in network.modules():
        if isinstance(module, torch.nn.Linear):
            assert (module.weight.norm(dim=1) <= 1 + 1e-5).all()
    torch.testing.assert_close(network.last.weight[0], before[0])
    torch.testing.assert_close(network.last.weight[1] * before[1].norm().clamp_min(1), before[1])


def poses(count=5, joints=6, seed=0):
    rng = np.random.default_rng(seed)
    keypoints = np.concatenate([rng.normal(size=(count, joints, 2)), np.ones((count, joints, 1))], axis=-1)
    keypoints[0, 2] = 0
    return torch.from_numpy(keypoints).float()


def test_position_and_size_of_a_pose_do_not_matter_in_its_own_frame():
    graph = LiftingGraph(Lifting(18, 18, 16, 1), "pose", 6).eval()
    keypoints = poses()
    moved = keypoints.clone()
    moved[..., :2] = keypoints[..., :2] * 300 + torch.tensor([640.0, 360.0])
    torch.testing.assert_close(graph(moved)[0], graph(keypoints)[0], atol=1e-4, rtol=1e-4)


def test_unknown_keypoints_do_not_matter_wherever_they_are():
    for frame in ("pose", "camera"):
        graph = LiftingGraph(Lifting(18, 18, 16, 1), frame, 6).eval()
        graph.mean.fill_(0.3)
        keypoints, other = poses(), poses()
        other[0, 2, :2] = 77.0
        torch.testing.assert_close(graph(other)[0], graph(keypoints)[0])


def test_the_frame_of_a_camera_keeps_positions():
    graph = LiftingGraph(Lifting(18, 18, 16, 1), "camera", 6).eval()
    keypoints = poses()
    torch.testing.assert_close(graph.centered(keypoints)[1], keypoints[1, :, :2])


def test_outputs_are_in_the_unit_of_the_statistics():
    graph = LiftingGraph(Lifting(18, 18, 16, 1), "pose", 6).eval()
    raw = graph(poses())[0]
    graph.mean3d.fill_(2.0)
    graph.deviation3d.fill_(3.0)
    torch.testing.assert_close(graph(poses())[0], 3 * raw + 2)


def test_lengths_of_limbs_are_inputs_where_both_ends_are_known():
    limbs = ((0, 1), (2, 3))
    graph = LiftingGraph(Lifting(20, 18, 16, 1), "pose", 6, limbs).eval()
    keypoints = poses()
    inputs, points = graph.standardized(keypoints), graph.centered(keypoints)
    torch.testing.assert_close(inputs[:, :18], LiftingGraph(Lifting(18, 18, 16, 1), "pose", 6).standardized(keypoints))
    torch.testing.assert_close(inputs[1:, 19], (points[1:, 2] - points[1:, 3]).norm(dim=1))
    assert inputs[0, 19] == 0  # joint 2 of the first pose is unknown
    torch.testing.assert_close(inputs[:, 18], (points[:, 0] - points[:, 1]).norm(dim=1))


def test_a_mirrored_pose_is_lifted_to_the_mirrored_pose():
    mirror, x = [0, 2, 1, 4, 3, 5], torch.tensor([-1.0, 1.0, 1.0])
    network = Lifting(18, 18, 16, 1)
    graph, plain = LiftingGraph(network, "pose", 6, (), mirror).eval(), LiftingGraph(network, "pose", 6).eval()
    keypoints = poses()
    flipped = keypoints[:, mirror] * x
    torch.testing.assert_close(graph(flipped)[0], graph(keypoints)[0][:, mirror] * x)
    mean = (plain(keypoints)[0] + plain(flipped)[0][:, mirror] * x) / 2
    torch.testing.assert_close(graph(keypoints)[0], mean)
    assert (plain(flipped)[0] - plain(keypoints)[0][:, mirror] * x).abs().max() > 0.01
