"""Signing on by WeCom: where the browser goes, and who came back (reference section 22)."""

from __future__ import annotations

from urllib.parse import urlencode

from hetang.connectors.wecom.accounts import places, services
from hetang.connectors.wecom.accounts.services import SignOnRefused
from hetang.connectors.wecom.client import client_of
from hetang.connectors.wecom.errors import NotSent, RateLimited, Unanswered, WeComError
from hetang.connectors.wecom.models import OFFICIAL_URL, App, Member
from hetang.connectors.wecom.protocol.access import SIGN_ON, CodeRequest
from hetang.connectors.wecom.protocol.directory import MEMBER, MemberQuery
from hetang.platform.models import User

SCAN_HOST, CLIENT_HOST = "https://login.work.weixin.qq.com", "https://open.weixin.qq.com"
GONE = frozenset({60111, 40003, 301021})  # of `user/get`: there is no such member
_USED_UP = frozenset({40029, 42022})


def app() -> App | None:
    """The app by which members sign on; None where nobody switched it on."""
    rows = App.objects.select_related("corp").filter(corp__is_default=True, listen_only=False, sign_on=True)
    return rows.order_by("agentid").first()


def scan_address(of: App, back: str, state: str) -> str:
    """The page whose code a member scans with her phone; it sends the browser to `back` with `code` and `state`."""
    query = {"login_type": "CorpApp", "appid": of.corp.corpid, "agentid": of.agentid, "redirect_uri": back}
    return f"{_host(of, SCAN_HOST)}/wwlogin/sso/login?{urlencode({**query, 'state': state})}"


def client_address(of: App, back: str, state: str) -> str:
    """The same inside the WeCom client, where nothing has to be scanned."""
    query = {"appid": of.corp.corpid, "redirect_uri": back, "response_type": "code", "scope": "snsapi_base"}
    query |= {"state": state, "agentid": str(of.agentid)}
    return f"{_host(of, CLIENT_HOST)}/connect/oauth2/authorize?{urlencode(query)}#wechat_redirect"


def is_client(agent: str) -> bool:
    """Whether a browser (its User-Agent) is the WeCom client's own."""
    return "wxwork" in agent.lower()


def signed_on(of: App, code: str) -> User:
    """The account of the member behind a code, which works once and for five minutes.

    WeCom is asked who it is and where she stands now, so that who was disabled a moment ago does not come in. Raises
    SignOnRefused (with `code_used` and `outsider` besides those of `account_of`), WeComError, NotSent, Unanswered.
    """
    client = client_of(of)
    try:
        told = client.call(SIGN_ON, CodeRequest(code=code[:512]))
    except WeComError as problem:
        if problem.code in _USED_UP:
            raise SignOnRefused("code_used") from None
        raise
    if not told.userid:
        raise SignOnRefused("outsider")
    try:
        places.keep(of.corp, [client.call(MEMBER, MemberQuery(userid=told.userid))])
    except WeComError as problem:
        if problem.code in GONE:
            Member.objects.filter(corp=of.corp, userid=told.userid).update(status=Member.LEFT)
            services.settle(of.corp, [told.userid])
            raise SignOnRefused("left") from None
        if not isinstance(problem, RateLimited):  # then what the last listing said holds
            raise
    except (NotSent, Unanswered):
        if not Member.objects.filter(corp=of.corp, userid=told.userid).exists():
            raise
    return services.account_of(of.corp, told.userid)


def _host(of: App, official: str) -> str:
    """WeCom's own host, or that of a simulated or private one."""
    return official if of.corp.address == OFFICIAL_URL else of.corp.address
