#: head
"""A network that striate trained, for PyTorch. Its weights are in weights.safetensors beside this file.

    import model

    network = model.load()
    answers = model.predict(network, inputs)

<<INPUTS>>
<<OUTPUTS>>
Dropout is left out: who trains on has to put it in again.
"""

import json
import pathlib
import sys
from collections import OrderedDict

import torch
from torch import nn

TASK = <<TASK>>
NAMES = <<NAMES>>  # of the outputs, in their order

#: image
CHANNELS, HEIGHT, WIDTH = <<SHAPE>>

#: table
# What becomes of the columns, in their order: of numbers themselves, their ranks among quantiles, and whether they were missing; of
# categories a 1 for the one that it is.
COLUMNS = <<COLUMNS>>
MISSING = <<MISSING>>

#: temperature
TEMPERATURE = <<TEMPERATURE>>  # outputs are divided by it before they become probabilities

#: thresholds

THRESHOLDS = torch.tensor(<<THRESHOLDS>>)  # a label applies from this probability on

#: scale
# The network's outputs are standardised.
OUTPUT_MEAN = torch.tensor(<<MEANS>>)
OUTPUT_STD = torch.tensor(<<DEVIATIONS>>)

#: chain


def chain(**layers):
    """One layer behind the other, under names."""
    return nn.Sequential(OrderedDict(layers))

#: normalise


class Normalise(nn.Module):
    """(x - mean) / std of each <<EACH>>."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(<<MEAN>>).reshape(<<AXES>>), persistent=False)
        self.register_buffer("std", torch.tensor(<<STD>>).reshape(<<AXES>>), persistent=False)

    def forward(self, x):
        return (x.float()<<DIVIDED>> - self.mean) / self.std

#: padded


class PaddedConv2d(nn.Conv2d):
    """A convolution with more zeros on one side than on the other: left, right, above, below."""

    def __init__(self, *shape, around, **options):
        super().__init__(*shape, **options)
        self.around = around

    def forward(self, x):
        return super().forward(nn.functional.pad(x, self.around))

#: subsample


class Subsample(nn.Module):
    """Every stride-th pixel, with channels of zeros before and after."""

    def __init__(self, stride, before, after):
        super().__init__()
        self.stride, self.channels = stride, (0, 0, 0, 0, before, after)

    def forward(self, x):
        return nn.functional.pad(x[:, :, :: self.stride, :: self.stride], self.channels)

#: residual


class Residual(nn.Module):
    """What a chain of layers makes of x, plus what the shortcut makes of it, or x itself."""

    def __init__(self, shortcut=None, activation=None, **layers):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.names = list(layers)
        self.shortcut = shortcut or nn.Identity()
        self.activation = activation or nn.Identity()

    def forward(self, x):
        y = x
        for name in self.names:
            y = getattr(self, name)(y)
        return self.activation(y + self.shortcut(x))

#: network


class Network(nn.Sequential):
    """<<TAKES>> to outputs [batch, <<COUNT>>]."""

    def __init__(self):
        layers = OrderedDict(
            normalise=Normalise(),
<<LAYERS>>        )
        super().__init__(layers)


def read_tensors(path):
    """The tensors of a safetensors file by name; `safetensors.torch.load_file` does the same."""
    types = {"F32": torch.float32}
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = torch.frombuffer(data[begin:end], dtype=types[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def load(weights=pathlib.Path(__file__).with_name("weights.safetensors")):
    """The network with its weights, ready to predict. A tensor that is missing, unknown or of another shape is an error."""
    network = Network()
    network.load_state_dict(read_tensors(weights), strict=True)
    return network.eval()


def predict(network, inputs):
    """<<PREDICTS>>"""
    with torch.inference_mode():
        return <<ANSWER>>

#: images


def read_image(path):
    """The picture in a file as the network takes it: uint8 [<<SHAPE>>]. Needs Pillow, which rounds once more than striate does when
    it resizes, and whose decoder of JPEGs is another one: pixels may differ by a few of 255."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(Image.open(path))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
<<GRAY>>    if image.size != (WIDTH, HEIGHT):
        image = resize(image, Image)
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.reshape(HEIGHT, WIDTH, CHANNELS).permute(2, 0, 1)

#: crop


def resize(image, pillow):
    """The middle of the picture that has the network's aspect ratio, in its size."""
    scale = max(WIDTH / image.width, HEIGHT / image.height)
    width, height = min(WIDTH / scale, image.width), min(HEIGHT / scale, image.height)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return image.resize((WIDTH, HEIGHT), pillow.Resampling.<<FILTER>>, (left, top, left + width, top + height))

#: stretch


def resize(image, pillow):
    """The whole picture in the network's size, whatever its aspect ratio."""
    return image.resize((WIDTH, HEIGHT), pillow.Resampling.<<FILTER>>)

#: pad


def resize(image, pillow):
    """The whole picture in the middle of black."""
    scale = min(WIDTH / image.width, HEIGHT / image.height)
    width = min(max(int(image.width * scale + 0.5), 1), WIDTH)
    height = min(max(int(image.height * scale + 0.5), 1), HEIGHT)
    frame = pillow.new(image.mode, (WIDTH, HEIGHT))
    image = image.resize((width, height), pillow.Resampling.<<FILTER>>)
    frame.paste(image, ((WIDTH - width) // 2, (HEIGHT - height) // 2))
    return frame

#: rows


def rank(quantiles, number):
    """Where the number stands among the quantiles, 0 to 1: linear between two of them, in the middle of several equal ones."""
    below = sum(quantile < number for quantile in quantiles)
    upto = sum(quantile <= number for quantile in quantiles)
    last = len(quantiles) - 1
    if below < upto:
        position = (below + upto - 1) / 2
    elif below in (0, last + 1):
        position = min(below, last)
    else:
        low, high = quantiles[below - 1], quantiles[below]
        position = below - 1 + (number - low) / (high - low)
    return position / max(last, 1)


def encode(row):
    """The features of a row: a dict of fields, as they stand in the table, by the names of the columns."""
    features = []
    for column in COLUMNS:
        field = str(row[column["name"]]).strip()
        missing = field.lower() in MISSING
        if "categories" in column:
            features += [float(field == category and not missing) for category in column["categories"]]
            continue
        number = column["fill"] if missing else torch.tensor(float(field)).item()
        features.append(number)
        if column["ranks"]:
            features.append(rank(column["ranks"], number))
        if column["indicator"]:
            features.append(float(missing))
    return torch.tensor(features)

#: main images


if __name__ == "__main__":
    network = load()
    for path in sys.argv[1:]:
        answer = predict(network, read_image(path).unsqueeze(0))[0].tolist()
        print(json.dumps({"source": path, **dict(zip(NAMES, answer))}))

#: main rows


if __name__ == "__main__":
    import csv

    network = load()
    for row in csv.DictReader(sys.stdin):
        answer = predict(network, encode(row).unsqueeze(0))[0].tolist()
        print(json.dumps(dict(zip(NAMES, answer))))

#: main rows without header


if __name__ == "__main__":
    import csv

    network = load()
    for fields in csv.reader(sys.stdin):
        row = {f"column {number}": field for number, field in enumerate(fields, 1)}
        answer = predict(network, encode(row).unsqueeze(0))[0].tolist()
        print(json.dumps(dict(zip(NAMES, answer))))
