"""Experiments that put every claim beside its closed form and an interval."""
