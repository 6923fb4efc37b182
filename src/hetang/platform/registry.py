"""Every setting of an installation, declared once: what it means, where it is set, what it may be.

The settings page, `hetang doctor` and docs/reference/settings.md are made from this. It imports no Django: the
supervisor and the doctor read it before there is any. What the brand itself decides (name, caps, quiet hours) is data
with pages of its own, not a setting.
"""

from __future__ import annotations

from dataclasses import dataclass

Value = str | int | bool | list[str]

TEXT, NUMBER, SWITCH, TIME, CHOICE = "text", "number", "switch", "time", "choice"
URL, EMAILS, NETWORKS, HOSTS, PATH, PATHS, LISTENER = "url", "emails", "networks", "hosts", "path", "paths", "listener"
SEVERAL = "several"  # some of the choices
LISTS = frozenset({EMAILS, NETWORKS, HOSTS, PATHS, SEVERAL})

ENVIRONMENT, CONSOLE = "environment", "console"
# What the supervisor tells its children by variables nobody set: it chose the value itself, or an option said it.
START, COMMAND = "start", "command"
CHOSEN = "HETANG_CHOSEN"

GROUPS: dict[str, tuple[str, str]] = {
    "home": ("数据与服务器", "Data and servers"),
    "web": ("网络与访问", "Network and access"),
    "watch": ("监控与告警", "Monitoring and alerts"),
    "notify": ("告警通知", "Notices of alerts"),
    "backup": ("备份与恢复", "Backup and restore"),
    "commands": ("命令行", "Command line"),
}


@dataclass(frozen=True)
class Setting:
    """One setting. In the environment it is called `env`; with `console` in `where` it can be set on a page, too, and
    the environment wins."""

    name: str
    group: str
    kind: str
    default: Value
    zh: str
    en: str
    label_zh: str
    label_en: str
    where: tuple[str, ...] = (ENVIRONMENT,)
    secret: bool = False
    least: int = 0
    most: int = 1_000_000
    unit_zh: str = ""
    unit_en: str = ""
    choices: tuple[tuple[str, str, str], ...] = ()  # value, Chinese, English
    env_name: str = ""

    @property
    def env(self) -> str:
        return self.env_name or f"HETANG_{self.name.upper().replace('.', '_')}"

    @property
    def in_console(self) -> bool:
        return CONSOLE in self.where


def _env(  # noqa: PLR0917 - a table of declarations reads best in columns
    env: str, group: str, kind: str, default: Value, label: tuple[str, str], zh: str, en: str, **more: object
) -> Setting:
    name = f"{group}.{env.removeprefix('HETANG_').lower()}"
    return Setting(name, group, kind, default, zh, en, *label, env_name=env, **more)  # type: ignore[arg-type]


def _both(  # noqa: PLR0917
    name: str, kind: str, default: Value, label: tuple[str, str], zh: str, en: str, **more: object
) -> Setting:
    values: dict[str, object] = {"where": (ENVIRONMENT, CONSOLE), **more}
    return Setting(name, name.partition(".")[0], kind, default, zh, en, *label, **values)  # type: ignore[arg-type]


_DAYS = {"unit_zh": "天", "unit_en": "days"}
_ALL: tuple[Setting, ...] = (
    _env(
        "HETANG_HOME", "home", PATH, "~/.hetang", ("数据目录", "Data directory"),
        "全部数据所在的目录；命令行 --home 优先。",
        "The directory that holds all data; --home on the command line comes first.",
    ),
    _env(
        "HETANG_DATABASE_URL", "home", TEXT, "", ("PostgreSQL 地址", "PostgreSQL address"),
        "使用自己的 PostgreSQL（15 或更新）而不是内置的，写作 libpq 网址。",
        "A PostgreSQL of your own (15 or newer) instead of the embedded one, as a libpq URL.",
        secret=True,
    ),
    _env(
        "HETANG_CLICKHOUSE_URL", "home", TEXT, "", ("ClickHouse 地址", "ClickHouse address"),
        "使用自己的 ClickHouse（HTTP）而不是内置引擎；多台以逗号分隔，客户按编号分布在各台上；目前仍属试验性质。",
        "A ClickHouse of your own over HTTP instead of the embedded engine; several, with commas between them,"
        " share the customers; experimental so far.",
        secret=True,
    ),
    _env(
        "HETANG_IMPORT_PATHS", "home", PATHS, [], ("可导入的目录", "Folders for imports"),
        "除 数据目录/imports 外，允许按路径导入文件的目录，以冒号分隔。",
        "Folders, separated by colons, from which files may be imported by path, besides HOME/imports.",
    ),
    _env(
        "HETANG_PUBLIC_URL", "web", URL, "", ("公网网址", "Public address"),
        "客户打开短链接和页面的网址；有未完成的群发任务时不要更改。",
        "The address under which customers reach short links and pages; do not change it while tasks are open.",
    ),
    _env(
        "HETANG_CONSOLE_URL", "web", URL, "", ("后台网址", "Address of the console"),
        "员工打开后台的网址；告警通知里的链接用它。",
        "The address under which staff open the console; notices of alerts link to it.",
    ),
    _env(
        "HETANG_WEB_URL", "web", URL, "", ("内部网址", "Inner address"),
        "自身进程访问后台的网址（默认：后台端口）。",
        "The address by which our own processes reach the console (default: its port).",
    ),
    _env(
        "HETANG_WEB_WORKERS", "web", NUMBER, 1, ("Web 进程数", "Web processes"),
        "Web 服务器的进程数；每个约占 70 MB 内存。",
        "Processes of the web server; each takes some 70 MB.",
    ),
    _env(
        "HETANG_WEB_THREADS", "web", NUMBER, 4, ("Web 线程数", "Web threads"),
        "每个 Web 进程同时处理的页面数；企业微信回调另有线程。",
        "How many pages each web process works out at a time; WeCom's callbacks have further threads.",
    ),
    _env(
        "HETANG_PUBLIC_LISTEN", "web", LISTENER, "", ("公网监听", "Public listener"),
        "另开一个只面向客户和外部系统的监听，如 0.0.0.0:8080；后台只在 --host 与 --port 上。",
        "A second listener for customers and systems only, as address:port; the console stays on --host and --port.",
    ),
    Setting(
        "web.public_parts", "web", SEVERAL, ["callbacks", "links", "pages", "api"],
        "公网监听提供哪些内容：企业微信回调、短链接、客户页面、数据接口。",
        "What the public listener serves: WeCom's callbacks, short links, pages of customers, the API for facts.",
        "公网内容", "Parts of the public listener",
        choices=(
            ("callbacks", "回调", "callbacks"), ("links", "短链接", "short links"),
            ("pages", "客户页面", "pages of customers"), ("api", "数据接口", "API"),
        ),
        env_name="HETANG_PUBLIC_PARTS",
    ),
    _env(
        "HETANG_TRUSTED_PROXIES", "web", NETWORKS, [], ("受信代理", "Trusted proxies"),
        "只相信来自这些地址或网段的 X-Forwarded-For 和 X-Forwarded-Proto。",
        "X-Forwarded-For and X-Forwarded-Proto are believed from these addresses or networks only.",
    ),
    _env(
        "HETANG_ALLOWED_HOSTS", "web", HOSTS, [], ("允许的主机名", "Host names"),
        "只应答这些主机名（本机除外）；为空则不检查。",
        "Only these host names are answered (and those of this machine); empty: any.",
    ),
    _env(
        "HETANG_WECOM_PICTURE_HOSTS", "web", HOSTS, ["qlogo.cn", "qpic.cn", "rescdn.qqmail.com"],
        ("企业微信图片主机", "Hosts of WeCom pictures"),
        "只从这些主机及其子域名取客户头像，保存在本机后再显示。",
        "Customers' avatars are fetched from these hosts and their subdomains only, kept here and shown from here.",
    ),
    Setting(
        "web.metrics_from", "web", NETWORKS, ["127.0.0.0/8", "::1/128"],
        "可以读取 /metrics 和 /readyz 详情的地址或网段；公网监听上永远读不到。",
        "Addresses or networks that may read /metrics and the details of /readyz; never on the public listener.",
        "可读指标的网段", "Who may read metrics",
        env_name="HETANG_METRICS_FROM",
    ),
    Setting(
        "watch.log_format", "watch", CHOICE, "json",
        "日志格式：json 供日志系统收集，text 供人阅读。",
        "How log lines are written: json for collectors of logs, text for people.",
        "日志格式", "Form of the logs",
        choices=(("json", "JSON", "JSON"), ("text", "文本", "Text")),
        env_name="HETANG_LOG_FORMAT",
    ),
    _both(
        "watch.lag_s", NUMBER, 300, ("数据流落后", "Streams behind"),
        "数据流落后超过这么多秒时告警。",
        "An alert is raised when a stream is so many seconds behind.",
        least=10, most=86_400, unit_zh="秒", unit_en="seconds",
    ),
    _both(
        "watch.held", NUMBER, 100, ("暂存记录", "Held records"),
        "未处理的暂存记录达到这么多条时告警。",
        "An alert is raised when so many records are held and open.",
        least=1, most=10_000,
    ),
    _both(
        "watch.failures", NUMBER, 20, ("十分钟内的失败", "Failures in ten minutes"),
        "十分钟内出错的页面或未能交出的群发任务达到这么多次时告警。",
        "An alert is raised when so many pages failed, or tasks could not be handed over, within ten minutes.",
        least=1,
    ),
    _both(
        "watch.stuck_minutes", NUMBER, 30, ("任务无进展", "Stuck jobs"),
        "任务等待或没有进展超过这么多分钟时告警。",
        "An alert is raised when a job waits, or does not report, for so many minutes.",
        least=2, most=10_000, unit_zh="分钟", unit_en="minutes",
    ),
    _both(
        "watch.disk_percent", NUMBER, 10, ("磁盘剩余", "Disk left"),
        "磁盘剩余空间低于这个百分比时告警。",
        "An alert is raised when less than so many per cent of a disk are free.",
        least=1, most=90, unit_zh="%", unit_en="%",
    ),
    _both(
        "watch.backup_hours", NUMBER, 36, ("备份过旧", "Backup too old"),
        "最新备份早于这么多小时时告警。",
        "An alert is raised when the newest backup is older than so many hours.",
        least=1, most=10_000, unit_zh="小时", unit_en="hours",
    ),
    _both(
        "watch.expire_days", NUMBER, 14, ("到期提醒", "Warn before expiry"),
        "证书和 API 密钥到期前这么多天告警。",
        "An alert is raised so many days before a certificate or an API key expires.",
        least=1, most=365, **_DAYS,
    ),
    _both(
        "notify.language", CHOICE, "zh-hans", ("通知语言", "Language of notices"),
        "邮件和 Webhook 通知使用的语言。",
        "The language in which mails and webhooks speak.",
        choices=(("zh-hans", "中文", "Chinese"), ("en", "英文", "English")),
    ),
    _both(
        "notify.mail_to", EMAILS, [], ("收件人", "Mail to"),
        "告警邮件的收件人，用逗号分隔；为空则不发邮件。",
        "Who gets mails about alerts, separated by commas; empty: nobody.",
    ),
    _both(
        "notify.mail_from", TEXT, "", ("发件人", "Mail from"),
        "告警邮件的发件地址（默认：SMTP 用户名）。",
        "The sender's address of these mails (default: the SMTP user).",
    ),
    _both(
        "notify.smtp_host", TEXT, "", ("SMTP 服务器", "SMTP server"),
        "发信服务器的主机名。",
        "Host name of the server that sends mails.",
    ),
    _both(
        "notify.smtp_port", NUMBER, 587, ("SMTP 端口", "SMTP port"),
        "通常 STARTTLS 用 587，TLS 用 465。",
        "Usually 587 with STARTTLS and 465 with TLS.",
        least=1, most=65_535,
    ),
    _both(
        "notify.smtp_security", CHOICE, "starttls", ("SMTP 加密", "SMTP encryption"),
        "与发信服务器之间的加密方式；不加密只适合本机。",
        "How the way to that server is encrypted; none is for this machine only.",
        choices=(("starttls", "STARTTLS", "STARTTLS"), ("tls", "TLS", "TLS"), ("none", "不加密", "none")),
    ),
    _both(
        "notify.smtp_user", TEXT, "", ("SMTP 用户名", "SMTP user"),
        "登录发信服务器的用户名；为空则不登录。",
        "The name to log in with; empty: no log-in.",
    ),
    _both(
        "notify.smtp_password", TEXT, "", ("SMTP 密码", "SMTP password"),
        "登录发信服务器的密码或授权码，加密保存。",
        "The password to log in with; kept sealed.",
        secret=True,
    ),
    _both(
        "notify.webhook_url", URL, "", ("Webhook 网址", "Webhook"),
        "告警以 POST 发送到这个 https 网址；为空则不发送。网址里常含密钥，因此不再显示。",
        "Alerts are posted to this https address; empty: none. It often holds a key, so it is not shown again.",
        secret=True,
    ),
    _both(
        "notify.webhook_form", CHOICE, "signed", ("Webhook 格式", "Form of the webhook"),
        "签名 JSON 供自己的系统使用；群机器人格式可直接填企业微信、钉钉或飞书内部群机器人的网址。",
        "Signed JSON for systems of your own; the robot forms take the address of a robot of an internal group.",
        choices=(
            ("signed", "签名 JSON", "Signed JSON"),
            ("robot", "企业微信或钉钉群机器人", "WeCom or DingTalk robot"),
            ("feishu", "飞书群机器人", "Feishu robot"),
        ),
    ),
    _both(
        "notify.webhook_secret", TEXT, "", ("Webhook 签名密钥", "Key of the signature"),
        "签名 JSON 用它计算 HMAC-SHA256；接收方据此确认消息来自本系统。",
        "The key of the HMAC-SHA256 by which the receiver knows that a message is ours.",
        secret=True,
    ),
    _env(
        "HETANG_WEBHOOK_NETWORKS", "notify", NETWORKS, [], ("Webhook 可达的内网", "Inner networks for webhooks"),
        "允许 Webhook 访问的内网网段（默认只能访问公网）；只能在环境变量中设置。",
        "Inner networks that webhooks may reach (by default only public addresses); set in the environment only.",
    ),
    _env(
        "HETANG_BACKUPS", "backup", PATH, "", ("备份目录", "Folder of backups"),
        "备份所在的目录（默认：数据目录/backups）；最好在另一块磁盘上。",
        "The folder of backups (default: HOME/backups); better on another disk.",
    ),
    _env(
        "HETANG_ARCHIVE", "backup", PATH, "", ("归档目录", "Archive"),
        "内置 PostgreSQL 的日志归档和基础备份目录；设置后可恢复到任意时刻。",
        "The folder of the embedded PostgreSQL's archived log and base backups; with it any moment can be restored.",
    ),
    _both(
        "backup.at", TIME, "02:30", ("每日备份时间", "Nightly backup"),
        "每天在这个时间（品牌时区）备份；为空则不自动备份。",
        "A backup is made each day at this time (brand's zone); empty: none by itself.",
    ),
    _both(
        "backup.keep_days", NUMBER, 7, ("保留天数", "Days kept"),
        "最近多少天各保留最后一份备份。",
        "Of so many days the last backup is kept.",
        least=1, most=366, **_DAYS,
    ),
    _both(
        "backup.keep_weeks", NUMBER, 4, ("保留周数", "Weeks kept"),
        "最近多少周各保留最后一份备份。",
        "Of so many weeks the last backup is kept.",
        most=520, unit_zh="周", unit_en="weeks",
    ),
    _both(
        "backup.keep_months", NUMBER, 6, ("保留月数", "Months kept"),
        "最近多少个月各保留最后一份备份。",
        "Of so many months the last backup is kept.",
        most=240, unit_zh="个月", unit_en="months",
    ),
    _both(
        "backup.base_every", NUMBER, 7, ("基础备份间隔", "Base backup every"),
        "归档目录中每隔多少天做一次基础备份（设置了归档目录时）。",
        "How often a base backup is made into the archive (where there is one).",
        least=1, most=90, **_DAYS,
    ),
    _both(
        "backup.keep_bases", NUMBER, 2, ("保留基础备份", "Base backups kept"),
        "保留最近几份基础备份及其后的日志；更早的时刻不能再恢复。",
        "So many base backups are kept with their log; earlier moments can no longer be restored.",
        least=1, most=100,
    ),
    _both(
        "backup.drill_every", NUMBER, 7, ("恢复演练间隔", "Drill every"),
        "每隔多少天自动把最新备份恢复到临时目录验证；0 表示不自动演练。",
        "How often the newest backup is brought back into a temporary home by itself; 0: never.",
        most=366, **_DAYS,
    ),
    _env(
        "HETANG_PASSWORD", "commands", TEXT, "", ("用户密码", "Password"),
        "供 hetang user add 使用的密码（否则会询问）。",
        "The password for `hetang user add` (otherwise asked for).",
        secret=True,
    ),
    _env(
        "HETANG_KEYS_PASSPHRASE", "commands", TEXT, "", ("密钥口令", "Passphrase of keys"),
        "密钥文件的口令（否则会询问）。",
        "The passphrase of a file of keys (otherwise asked for).",
        secret=True,
    ),
)  # fmt: skip
SETTINGS: dict[str, Setting] = {one.name: one for one in _ALL}

# What our processes tell each other through the environment; nobody sets it by hand.
INNER = frozenset(
    {"HETANG_SETS_URL", "HETANG_DEMO", "HETANG_SIMULATOR_URL", "HETANG_WEB_WORKER", "HETANG_LISTENER", "HETANG_PROCESS"}
    | {CHOSEN}
)
# What one command is told so, because it must not stand on its line.
OF_COMMANDS = frozenset({"HETANG_WECOM_SECRET"})
