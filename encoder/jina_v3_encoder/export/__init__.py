"""A model as files for other runtimes: ONNX, OpenVINO, sentence-transformers."""
