"""Arpit's lemma, theorems, corollaries and remarks: verified, attacked, and drawn."""
