"""What can be imported: targets and their fields, each declared once, with the headers that name them."""
# ruff: noqa: E501 - a table reads better in long lines

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

STORES, PRODUCTS, STAFF, CUSTOMERS, ORDERS, REFUNDS, VISITS, DISTRICTS = (
    "stores", "products", "staff", "customers", "orders", "refunds", "visits", "districts",
)  # fmt: skip
RESOURCES = frozenset({STORES, PRODUCTS, STAFF, DISTRICTS})  # these become rows, the others facts
BIRTHDAY = "birthday"  # the attribute that says who is under fourteen (`customers.minors`)
ATTRIBUTES = {  # codes of what brands usually keep of a customer, and the headers that name them
    BIRTHDAY: "birthday birthdate dateofbirth dob 生日 出生日期 出生年月 出生年月日 会员生日",
    "gender": "gender sex 性别 会员性别",
    "level": "level tier grade 等级 会员等级 会员级别",
    "joined_on": "joinedon joindate registeredat memberdate 入会日期 入会时间 注册日期 注册时间 开卡日期 开卡时间",
    "city": "city 城市 所在城市",
    "occupation": "occupation job 职业",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a target. `kind` names the parser in `rules.PARSERS`; `aliases` are headers in lower case without
    spaces and underscores; `personal` names the mask for values shown to people."""

    name: str
    kind: str
    label_en: str
    label_zh: str
    required: bool = False
    personal: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of file. `needs_one_of` lists groups of fields of which at least one must have a column."""

    name: str
    label_en: str
    label_zh: str
    fields: tuple[Field, ...]
    key: str
    needs_one_of: tuple[tuple[str, ...], ...] = ()

    def needs_datum(self, given: Collection[str]) -> bool:
        """Whether these fields hold coordinates of which nothing says in which system they are."""
        return "datum" not in given and not {"latitude", "longitude"}.isdisjoint(given)

    def field(self, name: str) -> Field:
        """The declared field of that name; KeyError if there is none."""
        return {field.name: field for field in self.fields}[name]


def _f(
    name: str, kind: str, en: str, zh: str, aliases: str = "", *, required: bool = False, personal: str = ""
) -> Field:
    return Field(name, kind, en, zh, required, personal, tuple(aliases.split()))


_IDENTITIES = (
    _f("member", "identity", "Member number", "会员号",
       "member memberid memberno memberno. customerid customer customerno custid householdid userid vipno crmid"
       " 会员号 会员编号 会员id 会员卡号 客户号 客户编号 客户id 顾客编号 用户id"),
    _f("phone", "identity", "Phone", "手机号", "phone mobile tel telephone cell phonenumber mobilephone 手机 手机号 电话 联系电话 手机号码",
       personal="phone"),
    _f("email", "identity", "E-mail", "邮箱", "email e-mail mail emailaddress 邮箱 电子邮箱 邮件", personal="email"),
    _f("unionid", "identity", "WeChat unionid", "微信 unionid", "unionid wxunionid wechatunionid"),
    _f("openid", "identity", "WeChat openid", "微信 openid", "openid wxopenid"),
    _f("external_userid", "identity", "WeCom external_userid", "企微 external_userid", "externaluserid externalid"),
    _f("card", "identity", "Card number", "卡号", "card cardno cardid cardnumber loyaltycard 卡号 储值卡号"),
)  # fmt: skip
_STORE = _f("store", "code", "Store code", "门店编号",
            "store storeid storecode storeno shop shopid shopcode branch outlet 门店 门店编号 门店id 门店编码 店铺 店铺编号 店号")  # fmt: skip
_CHANNEL = _f(
    "channel", "channel", "Channel", "渠道", "channel saleschannel orderchannel platform 渠道 销售渠道 来源渠道 平台"
)
_DATUM = _f(
    "datum",
    "datum",
    "Coordinate system",
    "坐标系",
    "datum coordinatesystem coordsystem coordtype crs 坐标系 坐标系统 坐标类型",
)

_STORE_FIELDS = (
    _f("code", "code", "Store code", "门店编号",
       "code store storeid storecode storeno shopid shopcode id 编号 编码 门店编号 门店编码 门店id 店号", required=True),
    _f("name", "text", "Name", "门店名称", "name storename shopname title 名称 门店 门店名称 店名 店铺名称", required=True),
    _f("region", "text", "Region", "区域", "region area district zone 区域 大区 片区 分区"),
    _f("address", "long_text", "Address", "地址", "address addr street 地址 详细地址 门店地址"),
    _f("city", "text", "City", "城市", "city town 城市 市"),
    _f("country", "country", "Country (two letters)", "国家（两位代码）", "country countrycode 国家 国家代码"),
    _f("latitude", "coordinate", "Latitude", "纬度", "latitude lat 纬度"),
    _f("longitude", "coordinate", "Longitude", "经度", "longitude lon lng long 经度"),
    _DATUM,
    _f("time_zone", "zone", "Time zone", "时区", "timezone tz 时区"),
    _f("opened_on", "day", "Opened on", "开业日期", "openedon opened opendate openingdate 开业日期 开店日期 开业时间"),
    _f("closed_on", "day", "Closed on", "闭店日期", "closedon closed closedate closingdate 闭店日期 关店日期"),
)  # fmt: skip
_PRODUCT_FIELDS = (
    _f("sku", "code", "SKU", "商品编码",
       "sku productid productcode productno itemid itemcode stockcode upc barcode code id 商品编码 商品编号 商品id 货号 条码", required=True),
    _f("name", "text", "Name", "商品名称", "name productname title description itemname producttype 名称 商品名称 品名 商品", required=True),
    _f("category", "label", "Category", "品类", "category productcategory type commodity 品类 类目 分类 商品分类 小类"),
    _f("department", "label", "Department", "部类", "department dept division 部门 部类 大类"),
    _f("brand", "label", "Brand", "品牌", "brand manufacturer 品牌"),
    _f("cost", "money", "Cost", "成本", "cost costprice unitcost purchaseprice 成本 成本价 进价"),
    _f("price", "money", "Price", "售价", "price listprice retailprice 售价 价格 零售价 标价"),
)  # fmt: skip
_STAFF_FIELDS = (
    _f("userid", "code", "User id (WeCom)", "员工账号（企微 userid）", "userid staffid employeeid account 员工账号 账号 工号 员工编号", required=True),
    _f("name", "text", "Name", "姓名", "name staffname employeename 姓名 员工姓名 名字", required=True),
    _STORE,
    _f("simulated", "yes_no", "Simulated", "模拟数据", "simulated 模拟"),
)  # fmt: skip
HOUSEHOLD = 3  # members for whom a customer's row has columns
_EN_PLACES, _ZH_PLACES, _BIG = ("first", "second", "third"), "一二三", "大二三"
_HOUSEHOLD_PARTS = (  # name, kind, labels, what a heading says behind (English) or after (Chinese) the word for a child
    ("kind", "member_kind", "relation (a child if empty)", "关系（不填为孩子）", "relation relationship kind type", "关系 身份 类型", ""),
    ("name", "text", "name", "姓名", "name nickname", "姓名 名字 小名 乳名 昵称", "child"),
    ("sex", "member_sex", "sex", "性别", "sex gender", "性别", ""),
    ("born", "member_day", "birthday", "生日", "birthday birthdate dateofbirth dob born bornon", "生日 出生日期 出生年月日 出生日 出生时间", "child"),
    ("due", "member_day", "due date", "预产期", "duedate due", "预产期", "child"),
)  # fmt: skip


def _household(place: int) -> tuple[Field, ...]:
    """The fields of one member of the household. Those of the first are named with and without a number."""
    return tuple(
        _f(
            f"household_{place}_{name}",
            kind,
            f"Household member {place}: {en}",
            f"家庭成员{place}：{zh}",
            " ".join(_household_headers(place, en_words.split(), zh_words.split())),
            personal=personal,
        )
        for name, kind, en, zh, en_words, zh_words, personal in _HOUSEHOLD_PARTS
    )


def _household_headers(place: int, en: list[str], zh: list[str]) -> Iterator[str]:
    stems = [(stem, en) for stem in ("child", "baby", "kid", "householdmember")]
    stems += [(stem, zh) for stem in ("宝宝", "孩子", "子女", "小孩", "家庭成员")]
    for stem, words in stems:
        for word in words:
            yield from (f"{stem}{place}{word}", f"{stem}{word}{place}")
            if place == 1:
                yield f"{stem}{word}"
    yield from (f"{_EN_PLACES[place - 1]}{stem}{word}" for stem in ("child", "baby", "kid") for word in en)
    for word in zh:
        yield f"{_BIG[place - 1]}宝{word}"
        yield from (f"第{_ZH_PLACES[place - 1]}{unit}{word}" for unit in ("胎", "个孩子", "个宝宝", "孩", "宝"))
    yield from (word for word in ("duedate", "预产期") if place == 1 and word in (*en, *zh))


_CUSTOMER_FIELDS = (
    *_IDENTITIES,
    _f("name", "text", "Name", "姓名", "name fullname customername 姓名 名字 会员姓名 客户姓名", personal="name"),
    _f("home_store", "code", "Home store", "归属门店", "homestore store storeid storecode 所属门店 门店 归属门店 开卡门店 注册门店"),
    _f("owner", "code", "Owner adviser (userid)", "归属导购（userid）", "owner adviser advisor owneruserid staff guide 归属顾问 归属导购 导购 顾问 专属导购"),
    _f("latitude", "coordinate", "Latitude", "纬度", "latitude lat 纬度 收货纬度 地址纬度", personal="position"),
    _f("longitude", "coordinate", "Longitude", "经度", "longitude lon lng long 经度 收货经度 地址经度", personal="position"),
    _DATUM,
    _f("updated_at", "time", "Updated at", "更新时间", "updatedat updated lastmodified modified 更新时间 修改时间"),
    _f("tags", "codes", "Tags", "标签", "tags tag labels 标签"),
    _f("consent", "yes_no", "Consent given", "是否同意", "consent optin marketingconsent subscribed agree 同意 是否同意 营销授权 授权 同意营销 是否授权"),
    _f("consent_at", "time", "Consent at", "同意时间", "consentat consenttime optintime optindate 同意时间 授权时间"),
    _f("do_not_disturb", "yes_no", "Do not disturb", "免打扰", "donotdisturb dnd optout unsubscribed 免打扰 勿扰 退订"),
    *(field for place in range(1, HOUSEHOLD + 1) for field in _household(place)),
)  # fmt: skip
_ORDER_FIELDS = (
    _f("order", "key", "Order number", "订单号",
       "order orderid orderno ordernumber invoice invoiceno basketid basket receipt receiptno transactionid ticket"
       " 订单号 订单编号 单号 小票号 交易号 流水号 销售单号", required=True),
    _f("placed_at", "time", "Time of purchase", "下单时间",
       "placedat orderdate ordertime invoicedate transactiontimestamp timestamp datetime date time purchasedat createdat paidat"
       " 下单时间 订单时间 交易时间 支付时间 付款时间 销售时间 日期 时间", required=True),
    *_IDENTITIES,
    _STORE,
    _CHANNEL,
    _f("staff", "code", "Staff (userid)", "导购（userid）", "staff staffid cashier salesperson clerk guide 导购 员工 店员 收银员 业务员"),
    _f("sku", "code", "SKU", "商品编码", "sku productid productcode itemid itemcode stockcode upc barcode 商品编码 商品编号 商品id 货号 条码 商品 商品名称 品名", required=True),
    _f("category", "label", "Category", "品类", "category productcategory 品类 类目 分类 商品分类"),
    _f("quantity", "quantity", "Quantity", "数量", "quantity qty count units 数量 件数 销量"),
    _f("amount", "money", "Line amount (after discounts)", "行金额（实付）",
       "amount lineamount salesvalue linetotal total net netamount paid subtotal 金额 行金额 实付 实付金额 销售额 小计 成交金额"),
    _f("unit_price", "price", "Unit price", "单价", "unitprice price 单价 售价"),
    _f("discount", "money", "Line discount", "行优惠", "discount linediscount retaildisc 优惠 折扣 优惠金额 折扣金额"),
    _f("refund_of", "key", "Cancels order", "原订单号", "refundof originalorder originalorderid cancels 原订单号 原单号"),
)  # fmt: skip
_REFUND_FIELDS = (
    _f("refund", "key", "Refund number", "退款单号", "refund refundid refundno returnid returnno rma 退款单号 退货单号 退款编号 售后单号", required=True),
    _f("order", "key", "Order number", "订单号", "order orderid orderno ordernumber originalorder 订单号 原订单号 订单编号", required=True),
    _f("refunded_at", "time", "Refunded at", "退款时间", "refundedat refunddate refundtime date time datetime 退款时间 退货时间 时间 日期", required=True),
    _f("amount", "money", "Amount", "退款金额", "amount refundamount total 金额 退款金额 实退金额", required=True),
    *_IDENTITIES,
    _STORE,
    _CHANNEL,
)  # fmt: skip
_VISIT_FIELDS = (
    _f("at", "time", "Time of visit", "到访时间", "at visitedat visittime visitdate date time datetime 到访时间 到店时间 访问时间 时间 日期", required=True),
    *_IDENTITIES,
    _STORE,
    _CHANNEL,
    _f("simulated", "yes_no", "Simulated", "模拟数据", "simulated 模拟"),
)  # fmt: skip
_DISTRICT_FIELDS = (
    _f("code", "code", "District code", "区县代码", "code adcode districtcode id 编号 编码 代码 行政区划代码 区划代码 区县代码 区县编号", required=True),
    _f("name", "text", "Name", "区县名称", "name district county 名称 区县 区县名称", required=True),
    _f("parent", "text", "City", "所属城市", "parent city prefecture 上级 城市 所属城市 市 地市"),
    _f("latitude", "coordinate", "Latitude of the centre", "中心纬度", "latitude lat 纬度 中心纬度"),
    _f("longitude", "coordinate", "Longitude of the centre", "中心经度", "longitude lon lng long 经度 中心经度"),
    _DATUM,
)  # fmt: skip
_ANYBODY = (tuple(field.name for field in _IDENTITIES),)

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(STORES, "Stores", "门店", _STORE_FIELDS, "code"),
        Target(PRODUCTS, "Products", "商品", _PRODUCT_FIELDS, "sku"),
        Target(STAFF, "Staff", "员工", _STAFF_FIELDS, "userid"),
        Target(CUSTOMERS, "Customers", "客户", _CUSTOMER_FIELDS, "", _ANYBODY),
        Target(ORDERS, "Orders with lines", "订单明细", _ORDER_FIELDS, "", (("amount", "unit_price"),)),
        Target(REFUNDS, "Refunds", "退款", _REFUND_FIELDS, "refund"),
        Target(VISITS, "Visits", "到访记录", _VISIT_FIELDS, "", _ANYBODY),
        Target(DISTRICTS, "Districts", "区县", _DISTRICT_FIELDS, "code", (("latitude",), ("longitude",))),
    )
}
IDENTITY_FIELDS = tuple(field.name for field in _IDENTITIES)
