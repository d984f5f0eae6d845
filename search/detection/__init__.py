"""Parts of detection: targets, anchors, detectors on taps, COCO's measures."""
