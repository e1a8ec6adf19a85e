"""Unit tests of policies: given series and changes, what is judged and decided when. No server, no clock, nothing outside is touched."""
