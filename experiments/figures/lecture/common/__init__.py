"""What the Lecture's figures share, and the training of its probe."""
