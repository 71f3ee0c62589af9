"""Wrong programs made of right ones, to see what the compiler says of them: `python -m tests.mutation --help`."""
