"""What killed processes leave behind, and the signs of life that tell it from what is in use."""
