"""ONNX Runtime: one operator a model, bound to buffers made beforehand. It has no gradients."""

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper


def model(node, inputs, outputs):
    """The bytes of a model of one node; inputs and outputs are (name, type, shape)."""
    values = [[helper.make_tensor_value_info(*value) for value in values] for values in (inputs, outputs)]
    graph = helper.make_graph([node], "one", *values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


class Library:
    version = ort.__version__

    def __init__(self, threads):
        self.options = ort.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.inter_op_num_threads = 1

    def bound(self, node, inputs, output):
        """A call of the model, with its inputs and its output in place."""
        types = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}
        described = [[(name, types[a.dtype], a.shape) for name, a in arrays] for arrays in (inputs, [output])]
        session = ort.InferenceSession(model(node, *described), self.options, ["CPUExecutionProvider"])
        binding = session.io_binding()
        for name, array in inputs:
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
        result = ort.OrtValue.ortvalue_from_numpy(output[1])
        binding.bind_ortvalue_output(output[0], result)

        def call():
            session.run_with_iobinding(binding)
            return result

        return call

    def load(self, logits, labels, distributions):
        x, y = ("x", logits), ("y", labels.astype(np.int64))

        def matrix():
            return "z", np.empty_like(logits)

        loss = helper.make_node("SoftmaxCrossEntropyLoss", ["x", "y"], ["z"], reduction="mean")
        self.operations = {
            "softmax": self.bound(helper.make_node("Softmax", ["x"], ["z"], axis=1), [x], matrix()),
            "log_softmax": self.bound(helper.make_node("LogSoftmax", ["x"], ["z"], axis=1), [x], matrix()),
            "sparse_loss": self.bound(loss, [x, y], ("z", np.empty((), np.float32))),
        }

    @staticmethod
    def to_numpy(result):
        return result.numpy()
