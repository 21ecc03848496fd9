"""What retraining and statisticians get.

In:   coco_reading (files), coco_findings (annotations), coco_masks (segmentations).
Out:  entries (what every export is given), images (the files beside it); coco with coco_records; conversations;
      yolo; hugging_face.
Data sets as versions: splits, manifest (hashes), card, diff.
Judging: evaluate, average_precision, and the scoring of texts.
"""
