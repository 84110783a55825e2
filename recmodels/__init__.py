"""Everything that needs torch: models, samplers, losses, the trainer, full-ranking evaluation."""
