"""livews"""
