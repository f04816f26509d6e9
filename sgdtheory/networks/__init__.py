"""Small networks with gradients of their own, behind the loss protocol; and data made for them."""
