"""What the figures of GSAE share."""
