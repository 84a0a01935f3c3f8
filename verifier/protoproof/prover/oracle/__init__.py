"""Oracles answer one question: do these facts entail the predicted class?"""
