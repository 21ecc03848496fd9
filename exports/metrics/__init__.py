"""Predictions against a reference standard, one module a kind of figure.

What is compared: cases, per_frame (the scores of one frame), sanity (what must be known before any score).
Boxes: detection over box_run (a run as arrays), box_matching and ranking (COCO's rules), fada_detection (FADA's).
Masks: segmentation over overlap, surfaces and fada_dice; mask_detection (average precision, by pycocotools).
The rest: classification, keypoints, compliance (was the text JSON), timing.
How sure: bootstrap (intervals by subject, paired tests), paired_precision (the same for average precision).
"""
