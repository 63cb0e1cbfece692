"""Why a page could not be fetched: the errors, and the sentences for what a connection or a status can say."""

import socket
import ssl

import httpx

from db.errors import JobError, TransientError, UserError
from tasks.http_status import RETRYABLE_STATUS_CODES

_PROXY_AUTHENTICATION_REQUIRED = 407


class FetchError(JobError):
    """A page could not be fetched; the message is one plain sentence with its address."""

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status  # of HTTP, if there was an answer
        self.retry_after = retry_after  # seconds that the server asked us to wait


class FetchFailedError(FetchError, TransientError):
    """Trying again later may succeed: the network, a server in trouble, a maintenance page, half a page."""


class FetchRefusedError(FetchError, UserError):
    """Trying again does not help: forbidden, gone, excluded by robots.txt, too large, redirected to another host."""


def status_problem(shown: str, response: httpx.Response, wait: float | None, proxy: str | None) -> FetchError:
    """The error for a status that is no page. `wait`: seconds that Retry-After asks for; `proxy`: host and port."""
    status = response.status_code
    answers = f"{shown}: the server answers {status} {response.reason_phrase[:80]}".rstrip()
    if status == _PROXY_AUTHENTICATION_REQUIRED:
        return proxy_problem(shown, proxy, "it asks for a user name and a password")
    if status < httpx.codes.BAD_REQUEST:
        return FetchFailedError(f"{answers}, not the page: try again later", status)
    if status in RETRYABLE_STATUS_CODES or response.is_server_error:
        then = "later" if wait is None else f"in {wait:.0f} seconds, as it asks"
        through = f" (through the proxy {proxy}, which may have answered in its place)" if proxy else ""
        return FetchFailedError(f"{answers}{through}: try again {then}", status, wait)
    if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        return FetchRefusedError(f"{answers}: look for the page's new address", status)
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return FetchRefusedError(f"{answers}: it denies access; ask the ministry, or set MOFA_CONTACT", status)
    return FetchRefusedError(f"{answers}: check the address", status)


def proxy_problem(shown: str, proxy: str | None, why: str) -> FetchFailedError:
    """The proxy between this machine and the server does not do its part; the ministry is not to blame."""
    return FetchFailedError(
        f"{shown}: the proxy {proxy or 'between this machine and the server'} does not work: {why}. Check the proxy, "
        "or HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY"
    )


def connection_problem(shown: str, error: Exception, proxy: str | None) -> FetchFailedError:
    """The error for a request that got no answer."""
    if isinstance(error, httpx.ProxyError):  # it answered, and refused
        return proxy_problem(shown, proxy, " ".join(str(error).split())[:120] or "it refuses the connection")
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return FetchFailedError(
                f"{shown}: the server's certificate cannot be trusted: if it is not renewed soon, tell the ministry"
            )
        if isinstance(cause, ssl.SSLError):
            return FetchFailedError(f"{shown}: the server speaks no TLS there: check the address")
        if isinstance(cause, socket.gaierror) and not proxy:
            return FetchFailedError(f"{shown}: no server of this name is known: check the network and the name")
        cause = cause.__cause__ or cause.__context__
    if proxy:
        return proxy_problem(shown, proxy, "it does not take the connection")
    return FetchFailedError(f"{shown}: the server does not take the connection: try again later")
