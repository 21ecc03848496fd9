"""What retraining and statisticians get.

In:   coco_reading (files), coco_findings (annotations), coco_masks (segmentations).
Out:  entries (what every export is given), images (the files beside it); coco with coco_records; conversations;
      yolo; hugging_face.
Data sets as versions: splits, manifest (hashes), card, diff.
Judging: evaluate over metrics (a module a kind of figure), fada_table (runs side by side), the scoring of texts.
"""
