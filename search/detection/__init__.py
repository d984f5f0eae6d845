"""Object detection: targets, anchors, detectors on taps, COCO's metrics."""
