"""The customer's own privacy page: on her phone, by a link, without a log-in, in both languages."""
