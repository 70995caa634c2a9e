"""ONNX Runtime's half of the benchmark: `python onnx_peer.py THREADS`, spoken to as `server` says.

Networks are those of `models`, written to ONNX by PyTorch with a fixed batch. Variants: `run` hands NumPy arrays over and gets one back,
`bound` keeps input and output in place. `sgemm` multiplies two square matrices of BATCH rows.
"""

import io
import sys
import warnings

import numpy
import onnx
import onnxruntime
import torch

import models
import server

THREADS = int(sys.argv[1])


def session(model):
    """A session on the CPU with every optimisation on, and its threads as many as everybody's."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def network(model, batch):
    """The network in ONNX's format."""
    net = models.build(model, pool_first=False).eval()  # here a ReLU is fused into the convolution before it
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is the old one, and writes what is needed without a second package
        torch.onnx.export(net, torch.zeros(batch, *models.shape(model)), file, dynamo=False)
    return file.getvalue()


def product(size):
    """A graph of one matrix product."""
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [size, size]) for name in "abc"]
    weight = onnx.numpy_helper.from_array(numpy.random.default_rng(0).random((size, size), numpy.float32), "b")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["a", "b"], ["c"])], "sgemm", values[:1], values[2:], [weight]
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def build(what, model, batch, variant):
    """A function that does one step."""
    run = session(product(batch) if what == "sgemm" else network(model, batch))
    shape = (batch, batch) if what == "sgemm" else (batch, *models.shape(model))
    inputs = numpy.random.default_rng(1).random(shape, numpy.float32)
    name, output = run.get_inputs()[0].name, run.get_outputs()[0].name
    if variant == "run" or what == "sgemm":
        return lambda: run.run([output], {name: inputs})
    binding = run.io_binding()
    given = onnxruntime.OrtValue.ortvalue_from_numpy(inputs)
    binding.bind_ortvalue_input(name, given)
    made = onnxruntime.OrtValue.ortvalue_from_shape_and_type(run.get_outputs()[0].shape, numpy.float32, "cpu")
    binding.bind_ortvalue_output(output, made)
    return lambda: run.run_with_iobinding(binding)


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    variants = {"predict": ["run", "bound"], "sgemm": ["mlas"]}
    server.serve("ONNX Runtime", onnxruntime.__version__, variants, build)
