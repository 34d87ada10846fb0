"""Pure steps of one decision. Steps do not import each other; proxy/decide.py states their order."""
