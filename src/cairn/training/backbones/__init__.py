"""Backbones: networks that turn an image into feature maps, for any method.

A backbone is a `backbone.Backbone`. A new one is a file in this folder and a line in `registry.BACKBONES`; recipes
then name it as `network.backbone`.
"""
