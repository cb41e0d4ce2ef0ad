"""The bench runs and writes every figure that it names. How fast is nobody's assertion here."""

import json
import subprocess
import sys
from pathlib import Path

from loadtests import bench_book

ROOT = Path(__file__).parent.parent
PIECES = (
    "decode",
    "standing",
    "reservation",
    "rules",
    "shares",
    "ledger",
    "events",
    "encode",
    "evidence",
    "flow",
)
TINY = {f"cpu_{mix}_{piece}" for mix in ("posted", "book") for piece in ("contract", "duties")} | {
    f"book_{shape}_deciding" for shape in ("deep", "thin")
}
"""Too small to be told from their timers on some machines."""
NAMES = {
    *(f"cpu_{mix}_{piece}" for mix in ("posted", "book") for piece in (*PIECES, "durable")),
    "cpu_book_book",
    "cpu_posted_entitlement",
    *(f"verdict_{what}" for what in ("allow", "seven_reasons", "quarter_of_rules", "half_of_rules", "kept")),
    "verdict_kept_10000_classes",
    "bytes_a_resting_order",
    "copy_of_postings",
    "transaction_a_trade",
    "evidence_appends",
    "evidence_commit_1000",
    *(
        f"settled_{mix}_{how}"
        for mix in ("posted", "book")
        for how in ("singles_64", "singles_1000", "batches_100", "batches_1000")
    ),
    "settled_posted_singles_64_with_ids",
    "settled_posted_batches_1",
    "settled_posted_batches_10000",
    "sustained_posted_batches_1000",
    "sustained_book_batches_1000",
    *(f"{what}_p99_{mix}" for mix in ("posted", "book") for what in ("commit", "acknowledged")),
    "recovery_from_journal",
    "recovery_from_snapshot",
    *(f"http_{what}_{connections}" for what in ("orders", "cpu") for connections in (16, 64)),
    "bytes_a_listing",
    *(f"catalogue_p50_{size}" for size in (1_000, 10_000)),
    *(f"feed_{what}_200" for what in ("messages", "orders", "cpu")),
    *(f"socket_{what}" for what in ("orders_16", "orders_pipelined", "cpu_pipelined")),
    *(f"book_{shape}{what}" for shape in ("deep", "thin") for what in ("", "_p50", "_p99")),
    *(
        f"book_{shape}_{piece}"
        for shape in ("deep", "thin")
        for piece in ("orders", "events", "changing", "asking")
    ),
    "book_twin",
    "book_lightmatchingengine",
    *(f"book_us_resting_{size}" for size in bench_book.QUICK.sizes),
    *(f"book_us_books_{books}" for books in bench_book.QUICK.books),
    "book_bytes_an_order",
    *(f"book_barred_{bench_book.QUICK.barred}_of_{whom}" for whom in ("one", "each")),
    "http_batches_100",
    "restart",
    "import",
    "credit_update",
    "credit_recompute",
    "http_answer_p99",
}


def test_the_bench_writes_every_figure(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    ran = subprocess.run(
        [sys.executable, "-m", "loadtests.bench", "--quick", "--output", str(output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    figures = {line["name"]: line for line in json.loads(output.read_text())}
    assert figures.keys() - TINY == NAMES
    for figure in figures.values():
        assert figure.keys() == {"name", "value", "unit", "reference", "ratio"}
        assert min(figure["value"], figure["reference"], figure["ratio"]) > 0, figure
        assert figure["name"] in ran.stdout
