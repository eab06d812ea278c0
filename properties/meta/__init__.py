"""Tests of the tests: faults planted in a subject, each of which a law must kill."""
