"""What happens to a message once it is here: held under a lease, acked, given back."""
