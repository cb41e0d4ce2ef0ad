"""Tests of the credit package: the register, the model and the bureau."""
