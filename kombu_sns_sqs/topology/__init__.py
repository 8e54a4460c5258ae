"""What a declared topology means on AWS: which queue receives what, decided here, carried out elsewhere."""
