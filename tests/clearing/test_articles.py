"""`clearing/articles.toml` answers each article of the policy digest, once, and claims nothing that is not there."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clearing import articles, notrade, rulebook_page
from clearing.articles import Article, Document

CHECKOUT = Path(__file__).parents[2]
RULEBOOK = notrade.load()
RULES = list(RULEBOOK.rules.values())
DOCUMENTS = {document.source: document for document in articles.load()}
ROWS = [
    pytest.param(document, article, id=f"{document.source}-{article.no}")
    for document in DOCUMENTS.values()
    for article in document.articles
]
CLAUSE = r"^第([一二三四五六七八九十]+)条"
IN_THE_DIGEST = {  # where a document starts and ends there, and how its articles are headed
    "jiangxi": ("第五次会议通过)", "(来源:江西省人民政府)", CLAUSE),
    "beijing": (
        "北京市企业数据知识产权工作指引（试行）\n\n第一章",
        "（来源：北京市知识产权局）",
        r"^第([一二三四五六七八九十]+)条",
    ),
    "shenzhen_health": (
        "深卫健规〔2023〕3号",
        "（来源：深圳市卫生健康委员会）",
        r"^第([一二三四五六七八九十]+)条",
    ),
    "guangzhou": (
        "二、建立产权分置运行机制",
        "(来源：广州市人民政府)",
        r"^[（(]([一二三四五六七八九十]+)[）)]",
    ),
    "hainan": ("琼府办〔2023〕33号", "（来源：海南省人民政府）", r"^(\d+)\.\s?"),
    "shenzhen_computing": ("深工信〔2023〕300号", "（来源：深圳市工业和信息化局）", r"^(\d+)\.\s?"),
    "autonomous_transport": ("一、适用范围", "（来源：交通运输部）", r"^([一二三四五六七八九十]+)、"),
    "blockchain_paper": ("白皮书目录", "(来源：中国信息通信研究院)", r"^([一二三四五六七八九十]+)、"),
}
DIGITS = "零一二三四五六七八九"


def number_of(text: str) -> int:
    """三十二 and 32 alike."""
    if text.isdigit():
        return int(text)
    tens, ten, ones = text.rpartition("十")
    return (DIGITS.index(tens or "一") if ten else 0) * 10 + (DIGITS.index(ones) if ones else 0)


def headed(digest: str, source: str) -> Iterator[int]:
    start, end, pattern = IN_THE_DIGEST[source]
    after = digest[digest.index(start) :]
    for found in re.finditer(pattern, after[: after.index(end)], re.MULTILINE):
        yield number_of(found[1])


@pytest.mark.parametrize("source", IN_THE_DIGEST)
def test_every_article_of_the_digest_is_answered_once(source: str, shared_folder: Path) -> None:
    digest = (shared_folder / "policy-digest-2023-49.txt").read_text(encoding="utf-8")
    asked = set(headed(digest, source))
    answered = Counter(number for article in DOCUMENTS[source].articles for number in article.numbers)
    assert asked == set(range(1, max(asked) + 1)), "every number is found"
    assert set(answered) == asked
    assert set(answered.values()) == {1}


def test_the_numbers_of_articles_are_those_of_the_documents() -> None:
    last = {source: max(document.articles[-1].numbers) for source, document in DOCUMENTS.items()}
    assert last["jiangxi"] == 52
    assert last["beijing"] == 41
    assert last["shenzhen_health"] == 49
    assert last["guangzhou"] == 30
    assert last["hainan"] == 24


def test_every_document_of_the_digest_is_there() -> None:
    assert list(DOCUMENTS) == [
        "jiangxi", "beijing", "shenzhen_health", "guangzhou", "hainan", "shenzhen_computing", "autonomous_transport",
        "open_data_paper", "blockchain_paper",
    ]  # fmt: skip
    read = {
        cited.title_zh for rule in RULES for cited in rule.citations if cited.confidence.startswith("digest")
    }
    assert read <= {document.title.zh for document in DOCUMENTS.values()}


@pytest.mark.parametrize(("document", "article"), ROWS)
def test_an_answer_is_what_it_says_it_is(document: Document, article: Article) -> None:
    rules = [rule.id for rule in articles.rules_on(document, article, RULES)]
    assert article.says.zh
    assert article.says.en
    match article.by:
        case "rules":
            assert rules, "no rule cites it: say what answers it"
            assert article.answer is None
        case "venue":
            assert article.answer is not None
            assert article.where
        case "later":
            assert article.answer is not None
            assert re.search(r"M\d+", article.answer.en), "names the requirement"
            assert not article.where
        case "outside":
            assert (rules, article.answer, article.where) == ([], None, ())


@pytest.mark.parametrize(("document", "article"), ROWS)
def test_what_an_answer_points_at_is_there(document: Document, article: Article) -> None:
    assert [path for path in article.where if not (CHECKOUT / path).is_file()] == []
    if article.answer is not None:
        for word in re.findall(r"\b[A-HPT]\d\d\b", article.answer.en + article.answer.zh):
            assert word in RULEBOOK.rules


def test_every_citation_of_the_digest_stands_in_the_index() -> None:
    by_title = {document.title.zh: document for document in DOCUMENTS.values()}
    for rule in RULES:
        for cited in rule.citations:
            if (document := by_title.get(cited.title_zh)) is not None:
                assert articles.numbers_of(cited), (rule.id, cited.zh)
                for number in articles.numbers_of(cited):
                    (row,) = [article for article in document.articles if number in article.numbers]
                    assert rule in articles.rules_on(document, row, RULES)


@pytest.mark.parametrize(
    ("article", "numbers"),
    [("7(2),8,5,6", [7, 8, 5, 6]), ("30(2)", [30]), ("", []), ("(九)", []), ("12,22", [12, 22])],
)
def test_a_citation_names_these_articles(article: str, numbers: list[int]) -> None:
    cited = msgspec.structs.replace(RULEBOOK.rules["D05"].citations[0], article=article)
    assert articles.numbers_of(cited) == numbers


def test_the_page_has_every_article_and_every_example() -> None:
    page = rulebook_page.page(RULEBOOK)
    for document in DOCUMENTS.values():
        section = page.split(f"### {document.title.zh} / {document.title.en}\n")[1].split("\n#")[0]
        assert section.count("\n| ") == len(document.articles) + 1
    shown = page.split("## 规则 / The rules")[1].split("## 例的起点")[0]
    assert shown.count("| 例 example |") == len(RULES)
    for rule in RULES:
        part = shown.split(f"\n### {rule.id}\n")[1].split("\n### ")[0]
        rows = [line for line in part.splitlines() if line.startswith("| ") and not line.startswith("| 例")]
        assert len(rows) == len(rule.examples)


def test_remarks_stand_beside_what_they_are_about() -> None:
    page = rulebook_page.page(RULEBOOK)
    assert "- 说明 remarks: The draft lets the provider's consent lift the ban everywhere." in page
    assert "| 放行 allow | a ceiling belongs to a guided price |" in page
    assert (
        "仅作支持 supports the venue's rule): asks it of those who apply for conditionally opened data"
        in page
    )
