"""What the `tensorboard` package makes of our event files, and what it writes itself.

    python peer.py records > records.json     the bytes of a few records, in hexadecimal
    python peer.py read FOLDER                what TensorBoard shows of a run's `tensorboard` folder, as JSON

Needs `tensorboard` and what it imports for reading: `pip install --no-deps tensorboard protobuf numpy absl-py packaging six`.
"""

import json
import math
import pathlib
import sys
import tempfile


def records():
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter

    def framed(event):
        with tempfile.NamedTemporaryFile() as file:
            writer = RecordWriter(file)
            writer.write(event.SerializeToString(deterministic=True))
            writer.flush()
            return pathlib.Path(file.name).read_bytes().hex()

    value = summary_pb2.Summary.Value
    histogram = summary_pb2.HistogramProto(
        min=-1, max=3, num=3, sum=2.5, sum_squares=10.25, bucket_limit=[1, 3], bucket=[2, 1]
    )
    picture = summary_pb2.Summary.Image(height=28, width=300, colorspace=1, encoded_image_string=bytes([1, 2, 200]))
    scalars = [value(tag="train/loss", simple_value=0.125), value(tag="val/\u732b", simple_value=math.nan)]
    session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    summary = lambda *values: summary_pb2.Summary(value=values)
    return {
        "head": framed(event_pb2.Event(wall_time=1.5, file_version="brain.Event:2")),
        "start": framed(event_pb2.Event(wall_time=1.5, step=300, session_log=session)),
        "scalars": framed(event_pb2.Event(wall_time=2.25, step=7, summary=summary(*scalars))),
        "picture": framed(event_pb2.Event(wall_time=2.25, step=0, summary=summary(value(tag="first", image=picture)))),
        "histogram": framed(event_pb2.Event(wall_time=2.25, step=1 << 40, summary=summary(value(tag="w", histo=histogram)))),
    }


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(folder, size_guidance={"scalars": 0, "images": 0, "histograms": 0, "tensors": 0})
    found.Reload()
    tags = found.Tags()
    return {
        "scalars": {tag: [[point.step, point.value] for point in found.Scalars(tag)] for tag in tags["scalars"]},
        "images": {
            tag: [[image.step, image.width, image.height, image.encoded_image_string[:4].hex()] for image in found.Images(tag)]
            for tag in tags["images"]
        },
        "histograms": {
            tag: [[one.step, one.histogram_value.num, sum(one.histogram_value.bucket)] for one in found.Histograms(tag)]
            for tag in tags["histograms"]
        },
    }


print(json.dumps(records() if sys.argv[1] == "records" else read(sys.argv[2]), indent=1))
