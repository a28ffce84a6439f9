"""What SATAE's figures share."""
