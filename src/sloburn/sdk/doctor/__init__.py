"""Why does nothing arrive: look at settings, packages, network and answers, and say it in words."""
