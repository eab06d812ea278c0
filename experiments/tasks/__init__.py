"""Generators of data, each with its chance level and its floor in closed form."""
