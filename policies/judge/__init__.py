"""What the evidence of a slot proves of one condition. What is not proven is unknown."""
