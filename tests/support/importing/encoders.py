"""Encoders in torch, with the names that torchvision and timm give their tensors; any width."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)


class Residual(nn.Module):
    """Two convolutions, or three: the path that is added to the input."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            self.conv1, self.conv2 = conv(inputs, width, 1), conv(width, width, 3, stride, 1)
            self.conv3, self.bn3 = conv(width, outputs, 1), nn.BatchNorm2d(outputs)
        else:
            self.conv1, self.conv2 = conv(inputs, width, 3, stride, 1), conv(width, width, 3, 1, 1)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if hasattr(self, "conv3"):
            y = self.bn3(self.conv3(torch.relu(y)))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(
        self,
        blocks: tuple[int, ...] = (1, 1, 1, 1),
        width: int = 4,
        bottleneck: bool = False,
        strides: tuple[int, ...] = (1, 2, 2, 2),
        inputs: int = 3,
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width, 7, 2, 3), nn.BatchNorm2d(width)
        channels = width
        for stage, (count, stride) in enumerate(zip(blocks, strides, strict=True)):
            layers = []
            for block in range(count):
                inner = width << stage
                layers.append(Residual(channels, inner, stride if block == 0 else 1, bottleneck))
                channels = 4 * inner if bottleneck else inner
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        x = torch.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


VGG11 = (1, 1, 2, 2, 2)


class VGG(nn.Module):
    """``blocks``: convolutions before each pooling."""

    def __init__(
        self, blocks: tuple[int, ...] = VGG11, width: int = 4, normed: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for block, count in enumerate(blocks):
            for _ in range(count):
                outputs = width << min(block, 3)
                layers.append(nn.Conv2d(channels, outputs, 3, padding=1))
                layers += [nn.BatchNorm2d(outputs)] if normed else []
                layers.append(nn.ReLU())
                channels = outputs
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, 4 * growth, 1)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), conv(4 * growth, growth, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(torch.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(torch.relu(self.norm2(inner)))], dim=1)


class Transition(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(inputs), conv(inputs, inputs // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(self.conv(torch.relu(self.norm(x))), 2)


class DenseNet(nn.Module):
    def __init__(
        self,
        blocks: tuple[int, ...] = (1, 2, 1, 1),
        growth: int = 2,
        first: int = 4,
        final_relu: bool = True,
    ) -> None:
        super().__init__()
        layers = nn.Sequential()
        layers.add_module("conv0", conv(3, first, 7, 2, 3))
        layers.add_module("norm0", nn.BatchNorm2d(first))
        layers.add_module("relu0", nn.ReLU())
        layers.add_module("pool0", nn.MaxPool2d(3, 2, 1))
        channels = first
        for number, count in enumerate(blocks, 1):
            block = nn.Sequential()
            for layer in range(count):
                block.add_module(f"denselayer{layer + 1}", DenseLayer(channels, growth))
                channels += growth
            layers.add_module(f"denseblock{number}", block)
            if number < len(blocks):
                layers.add_module(f"transition{number}", Transition(channels))
                channels //= 2
        layers.add_module("norm5", nn.BatchNorm2d(channels))
        if final_relu:
            layers.add_module("final_relu", nn.ReLU())
        self.features, self.channels = layers, channels

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)


class Norm2d(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Permute(nn.Module):
    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.axes)


class NextBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width),
            Permute(0, 2, 3, 1),
            nn.LayerNorm(width, eps=1e-6),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            Permute(0, 3, 1, 2),
        )
        self.layer_scale = nn.Parameter(torch.rand(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layer_scale * self.block(x)


class ConvNeXt(nn.Module):
    """``strides``: of the convolutions between the stages."""

    def __init__(
        self,
        blocks: tuple[int, ...] = (1, 1, 1, 1),
        width: int = 4,
        strides: tuple[int, ...] = (2, 2, 2),
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(3, width, 4, 4), Norm2d(width, eps=1e-6))
        ]
        for stage, count in enumerate(blocks):
            layers.append(nn.Sequential(*(NextBlock(width) for _ in range(count))))
            if stage < len(strides):
                layers.append(
                    nn.Sequential(
                        Norm2d(width, eps=1e-6), nn.Conv2d(width, 2 * width, 2, strides[stage])
                    )
                )
                width *= 2
        self.features, self.channels = nn.Sequential(*layers), width

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)


class Same(nn.Conv2d):
    """ceil(n / stride) windows, the odd zero at the end."""

    def forward(self, x: Tensor) -> Tensor:
        size, stride = self.kernel_size[0], self.stride[0]
        missing = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in x.shape[2:]]
        left = [n // 2 for n in missing]
        pads = [left[1], missing[1] - left[1], left[0], missing[0] - left[0]]
        return super().forward(nn.functional.pad(x, pads))


class Mobile(nn.Module):
    """Depthwise block, behind an expansion unless it is of the first stage."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, first: bool) -> None:
        super().__init__()
        inner = inputs if first else 2 * inputs
        self.first, self.added = first, inputs == outputs and stride == 1
        if first:
            self.conv_dw = Same(inner, inner, kernel, stride, groups=inner, bias=False)
            self.bn1, self.conv_pw = _norm(inner), conv(inner, outputs, 1)
            self.bn2 = _norm(outputs)
        else:
            self.conv_pw, self.bn1 = conv(inputs, inner, 1), _norm(inner)
            self.conv_dw = Same(inner, inner, kernel, stride, groups=inner, bias=False)
            self.bn2, self.conv_pwl, self.bn3 = (
                _norm(inner),
                conv(inner, outputs, 1),
                _norm(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        bent = nn.functional.relu6
        if self.first:
            y = self.bn2(self.conv_pw(bent(self.bn1(self.conv_dw(x)))))
        else:
            y = bent(self.bn2(self.conv_dw(bent(self.bn1(self.conv_pw(x))))))
            y = self.bn3(self.conv_pwl(y))
        return x + y if self.added else y


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


class EfficientNetLite(nn.Module):
    """The variant that was trained with TensorFlow's padding."""

    def __init__(self, blocks: tuple[int, ...] = (1, 2, 1, 1, 1, 1, 1), width: int = 4) -> None:
        super().__init__()
        self.conv_stem, self.bn1 = Same(3, width, 3, 2, bias=False), _norm(width)
        stages = []
        kernels, strides = (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1)
        for stage, (count, kernel, stride) in enumerate(zip(blocks, kernels, strides, strict=True)):
            stages.append(
                nn.Sequential(
                    *(
                        Mobile(width, width, kernel, stride if b == 0 else 1, stage == 0)
                        for b in range(count)
                    )
                )
            )
        self.blocks = nn.Sequential(*stages)
        self.conv_head, self.bn2 = conv(width, 2 * width, 1), _norm(2 * width)
        self.channels = 2 * width

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(nn.functional.relu6(self.bn1(self.conv_stem(x))))
        return nn.functional.relu6(self.bn2(self.conv_head(x)))


def shaken(module: nn.Module, seed: int) -> nn.Module:
    """Random statistics and affine parts of norms, so that none of them is idle; evaluation."""
    torch.manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 1.5)
            layer.weight.data.uniform_(0.5, 1.5)
            layer.bias.data.normal_(0, 0.2)
        elif isinstance(layer, nn.LayerNorm):
            layer.weight.data.uniform_(0.5, 1.5)
            layer.bias.data.normal_(0, 0.2)
    return module.eval()
