"""From the state of an alert to somebody who hears of it."""
