"""From a plan to stored runs and pictures: specs, training, storage, the figures' registry."""
