"""Random programs, and what the compiler's passes must not change about them."""
