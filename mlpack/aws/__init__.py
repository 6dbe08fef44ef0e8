"""What the targets of AWS share: calls, images, permissions, waiting, what was done."""
