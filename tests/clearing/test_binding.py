"""Where and whom each source binds: groups D to H, T and P, read off the sources and not off their files.

A trade is described by its product and source; the place is the venue's. What is empty is refused as 本所规则.
"""

from typing import Any, get_args

import pytest

from clearing import notrade
from clearing.notrade import Facts

RULEBOOK = notrade.load()
HAINAN, JIANGXI, SHENZHEN, BEIJING, GUANGZHOU = "CN-46", "CN-36", "CN-4403", "CN-11", "CN-4401"
SHARED: dict[str, Any] = {"source.channel": "gov_sharing"}
CONDITIONAL: dict[str, Any] = {"source.channel": "open_platform_conditional"}


def facts(base: str, changes: dict[str, Any]) -> Facts:
    return notrade.read_context(RULEBOOK.context(base, changes))


def binding(rule: str, place: str, base: str, changes: dict[str, Any]) -> list[str]:
    case = facts(base, changes)
    assert isinstance(case.now, int)
    capacities = notrade.capacities(case.product, case.source)
    return [cited.zh for cited in RULEBOOK.citations(rule, place, case.now, capacities).binding]


@pytest.mark.parametrize(
    ("rule", "place", "base", "changes", "expected"),
    [
        # 第十六条第三款 binds in Jiangxi, and whoever got the data by sharing
        ("D03", JIANGXI, "public", SHARED, ["江西省数据应用条例16(3)"]),
        ("D03", "CN-3601", "public", SHARED, ["江西省数据应用条例16(3)"]),
        ("D03", HAINAN, "public", SHARED, []),
        ("D03", JIANGXI, "public", {}, ["公共数据资源授权运营实施规范"]),
        # a principle that a policy promotes obliges nobody, not even in Guangzhou
        ("D04", GUANGZHOU, "public", {}, []),
        # authorised operation is explored (探索建立), its term is the agreement's
        ("D07", JIANGXI, "public", {}, []),
        ("D08", HAINAN, "public", {}, ["公共数据资源授权运营实施规范(再开发禁止)"]),
        ("D08", HAINAN, "enterprise", {}, []),
        # which list, and so which law, the fact does not say
        ("E04", HAINAN, "personal", {}, []),
        ("E06", JIANGXI, "enterprise", {}, []),
        ("E07", JIANGXI, "public", CONDITIONAL, []),
        ("E08", HAINAN, "enterprise", {}, ["数据安全法34"]),
        ("E09", HAINAN, "enterprise", {}, []),
        ("E10", BEIJING, "enterprise", {}, []),
        # both documents bind every venue in the country
        ("F01", HAINAN, "enterprise", {}, ["国发〔2011〕38号", "国办发〔2012〕37号"]),
        ("F03", SHENZHEN, "enterprise", {}, ["国发〔2011〕38号"]),
        ("F04", HAINAN, "enterprise", {}, []),
        ("G01", HAINAN, "enterprise", {}, ["网络数据安全管理条例37", "促进和规范数据跨境流动规定7"]),
        ("G02", HAINAN, "abroad", {}, ["促进和规范数据跨境流动规定7(1)", "个人信息保护法40"]),
        ("G03", HAINAN, "abroad", {}, ["促进和规范数据跨境流动规定7(2),8,5,6"]),
        ("G03", HAINAN, "abroad", {"product.pi_state": "anonymised"}, []),
        ("G04", HAINAN, "abroad", {}, ["促进和规范数据跨境流动规定8"]),
        ("G05", HAINAN, "abroad", {}, ["个人信息保护法39", "促进和规范数据跨境流动规定10"]),
        ("G06", HAINAN, "enterprise", {}, ["促进和规范数据跨境流动规定9", "网络数据安全管理条例38"]),
        # the measures are for health authorities and institutions, and no fact says that a party is one
        ("G07", SHENZHEN, "health", {}, []),
        ("H01", SHENZHEN, "health", {}, []),
        ("H03", SHENZHEN, "health", {}, []),
        ("H05", HAINAN, "health", {}, []),
        ("T01", HAINAN, "enterprise", {}, ["汽车数据安全管理若干规定3"]),
        # 第三十八条: 本指引不具有强制性
        ("P01", BEIJING, "enterprise", {}, []),
        ("P02", HAINAN, "enterprise", {}, []),
        ("P02", HAINAN, "personal", {}, ["网络数据安全管理条例12", "个人信息保护法56"]),
        ("P03", SHENZHEN, "health", {}, ["个人信息保护法47"]),
        ("P03", SHENZHEN, "enterprise", {}, []),
        ("P04", JIANGXI, "public", CONDITIONAL, ["江西省数据应用条例18(3)"]),
        ("P04", HAINAN, "public", CONDITIONAL, []),
        ("P04", JIANGXI, "personal", {}, ["个人信息保护法23"]),
        ("P05", HAINAN, "personal", {}, ["个人信息保护法15(2),47"]),
    ],
)
def test_these_articles_bind_and_no_others(
    rule: str, place: str, base: str, changes: dict[str, Any], expected: list[str]
) -> None:
    assert binding(rule, place, base, changes) == expected


HEALTH = ("everyone", "venue", "health_institution", "personal_information_handler")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("G07", ["深圳市卫生健康数据管理办法16(3)"]),
        ("H01", ["深圳市卫生健康数据管理办法12"]),
        ("H02", []),
        ("H03", ["深圳市卫生健康数据管理办法13,16,20,24"]),
        ("H04", ["深圳市卫生健康数据管理办法20"]),
        ("H05", ["深圳市卫生健康数据管理办法23"]),
        ("P03", ["深圳市卫生健康数据管理办法25", "个人信息保护法47"]),
    ],
)
@pytest.mark.parametrize(
    ("instant", "in_force"),
    [
        ("2023-12-31T23:59:59+08:00", False),
        ("2024-01-01T00:00:00+08:00", True),
        ("2028-12-31T23:59:59+08:00", True),
        ("2029-01-01T00:00:00+08:00", False),
    ],
)
def test_the_health_measures_bind_a_hospital_in_shenzhen_for_five_years(
    rule: str, expected: list[str], instant: str, in_force: bool
) -> None:
    """第二条, 第四十九条: 自2024年1月1日起施行，有效期五年."""
    now = facts("health", {"now": instant}).now
    assert isinstance(now, int)
    found = [cited.zh for cited in RULEBOOK.citations(rule, SHENZHEN, now, HEALTH).binding]
    assert found == [zh for zh in expected if in_force or not zh.startswith("深圳")]
    elsewhere = [cited.zh for cited in RULEBOOK.citations(rule, HAINAN, now, HEALTH).binding]
    assert elsewhere == [zh for zh in expected if not zh.startswith("深圳")]


def test_a_policy_or_a_guide_binds_nobody_anywhere() -> None:
    everybody: tuple[notrade.Whom, ...] = get_args(notrade.Whom)
    now = facts("enterprise", {}).now
    assert isinstance(now, int)
    for rule in RULEBOOK.rules:
        for place in (HAINAN, JIANGXI, SHENZHEN, BEIJING, GUANGZHOU):
            for cited in RULEBOOK.citations(rule, place, now, everybody).binding:
                assert cited.authority not in ("policy", "guide", "venue_rule")
