"""Landmarks on shapes: a few labeled specimens become a model that places the landmarks on others.

Each labeled specimen is a template, as in ALPACA (Porto 2021) and MALPACA (Zhang 2022): it is aligned to a new specimen
whatever its pose (`alignment`), deformed smoothly onto its surface (`deformation`), and its landmarks go along. The
median over the templates, snapped to the surface, is the result, and the spread over the templates is its uncertainty
(`model`). Instead of coherent point drift, the deformation is fitted over iterated closest points, see `deformation`.
"""
