"""Automatic configuration: facts of the labels and the machine, and the recipe values that follow."""
