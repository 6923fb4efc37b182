"""The demo brand: a real, de-identified year of purchases (Complete Journey) through the public import path.

Orders, products and households are the data's own. Staff, regions, friendships, consents, visits and the birthdays of
children are simulated and labelled so wherever a person sees them. Everything drawn is drawn with fixed seeds.
"""
