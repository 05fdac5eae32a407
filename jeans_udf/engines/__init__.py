"""What runs the models' convolutions: torch, OpenVINO or ONNX Runtime, chosen by one config key.

An `engine.Engine` takes a part of a model, a torch module, and gives a callable with the same
inputs and outputs. `parts` says which parts of a detector these are and puts the callables in their
places; all that lies between them (anchors, suppression, ROIAlign, pasting) stays Detectron2's own
code in torch. `registry` knows the engines by name.
"""
