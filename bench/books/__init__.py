"""bench.books: a random mixture of everything that is booked, and six books of it that must say the same."""
