//! A sandbox of its own for tests on the real kernel.
