"""The status codes of HTTP after which both jobs try again."""

RETRYABLE_STATUS_CODES = frozenset({408, 425, 429})  # of the 4xx; every 5xx is retried too
