"""What retraining and statisticians get."""
