"""Runnable services that show sloburn at work; each folder has a README, each README is run by a test."""
